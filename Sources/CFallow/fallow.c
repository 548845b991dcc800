#include "fallow.h"
