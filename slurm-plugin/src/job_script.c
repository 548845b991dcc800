/* job_script.c: the epilog. SPANK calls no init here, so the arguments are read inside. */
#include <stdlib.h>

#include "arguments.h"
#include "breaker.h"
#include "context.h"
#include "log.h"
#include "record.h"
#include "report_client.h"

int fallow_job_script_epilog(spank_t spank, int argc, char *argv[])
{
	struct fallow_arguments arguments;
	struct fallow_places places;
	struct fallow_report_request record;
	char warning[FALLOW_WARNING_MAX];
	fallow_arguments_parse(&arguments, argc, argv, warning, sizeof warning);
	if (warning[0] != '\0')
		slurm_info("fallow: %s", warning);
	/* slurmd sets it for itself and all it starts. */
	if (!fallow_arguments_place(&arguments, getenv("SLURMD_NODENAME"), &places, warning, sizeof warning)) {
		slurm_info("fallow: %s", warning);
		return 0;
	}
	fallow_record_of_job_end(spank, places.node, &record);
	if (record.job_id == 0)
		return 0;
	fallow_breaker_reset(places.runtime, record.job_id);
	fallow_record_stamp(&record);
	fallow_report_post(places.socket, &record, FALLOW_POST_MS);
	return 0;
}
