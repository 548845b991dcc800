/* dispatch.c: SPANK's callbacks, each handed to the file of its context. What takes time is timed (slurm_debug2). */
#include "context.h"
#include "deadline.h"
#include "log.h"

SPANK_PLUGIN(fallow, 1)

static int timed(const char *callback, uint64_t began_ns, int result)
{
	slurm_debug2("fallow: %s took %llu us", callback, (unsigned long long)(fallow_now_ns() - began_ns) / 1000u);
	return result;
}

int slurm_spank_init(spank_t spank, int argc, char *argv[])
{
	uint64_t began_ns = fallow_now_ns();
	spank_context_t context = spank_context();
	if (context == S_CTX_REMOTE)
		return timed("init", began_ns, fallow_remote_init(spank, argc, argv));
	if (context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR)
		return fallow_submission_init(spank, context);
	return 0;
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char *argv[])
{
	uint64_t began_ns = fallow_now_ns();
	spank_context_t context = spank_context();
	(void)argc, (void)argv;
	if (context == S_CTX_REMOTE)
		return timed("init_post_opt", began_ns, fallow_remote_before_tasks(spank));
	if (context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR)
		return fallow_submission_options_known(spank);
	return 0;
}

int slurm_spank_task_post_fork(spank_t spank, int argc, char *argv[])
{
	uint64_t began_ns = fallow_now_ns();
	(void)argc, (void)argv;
	return timed("task_post_fork", began_ns, fallow_remote_task_forked(spank));
}

int slurm_spank_exit(spank_t spank, int argc, char *argv[])
{
	uint64_t began_ns = fallow_now_ns();
	(void)argc, (void)argv;
	if (spank_context() != S_CTX_REMOTE)
		return 0;
	return timed("exit", began_ns, fallow_remote_exit(spank));
}

int slurm_spank_job_epilog(spank_t spank, int argc, char *argv[])
{
	return fallow_job_script_epilog(spank, argc, argv);
}
