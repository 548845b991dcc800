/* A library for a version of fallow.h that does not exist. */
#include <stdint.h>

const uint32_t fallow_library_abi = 4711;

int32_t noop(void *call)
{
	(void)call;
	return 0;
}
