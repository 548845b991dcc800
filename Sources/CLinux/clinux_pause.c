/* Every C target needs a source file; the facility is inline. */
#include "clinux_pause.h"
