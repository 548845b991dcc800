#include "fallow_report.h"
