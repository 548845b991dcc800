/* A library whose constructor crashes. */
#include "fallow.h"
#include <stdlib.h>

FALLOW_LIBRARY;

__attribute__((constructor)) static void begin(void)
{
	abort();
}

int32_t noop(const struct fallow_call *call)
{
	(void)call;
	return 0;
}
