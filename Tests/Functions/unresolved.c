/* A library that needs a symbol that nobody has. */
#include "fallow.h"

FALLOW_LIBRARY;

int32_t nobody_defines_this(void);

int32_t noop(const struct fallow_call *call)
{
	(void)call;
	return nobody_defines_this();
}
