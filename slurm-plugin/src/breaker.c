#include "breaker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arguments.h"

#define BREAKER_PATH_MAX (FALLOW_RUNTIME_MAX + 32)

static void path_of(char path[BREAKER_PATH_MAX], const char *runtime, uint32_t job_id)
{
	snprintf(path, BREAKER_PATH_MAX, "%s/breaker.%u", runtime, job_id);
}

bool fallow_breaker_is_tripped(const char *runtime, uint32_t job_id)
{
	char path[BREAKER_PATH_MAX];
	struct stat status;
	path_of(path, runtime, job_id);
	return lstat(path, &status) == 0 && S_ISREG(status.st_mode);
}

bool fallow_breaker_trip(const char *runtime, uint32_t job_id, const char *why)
{
	char path[BREAKER_PATH_MAX];
	path_of(path, runtime, job_id);
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (file < 0)
		return false;
	/* What counts is that the file exists; its text is for people. */
	if (write(file, why, strlen(why)) < 0 || write(file, "\n", 1) < 0)
		errno = 0;
	close(file);
	return true;
}

void fallow_breaker_reset(const char *runtime, uint32_t job_id)
{
	char path[BREAKER_PATH_MAX];
	path_of(path, runtime, job_id);
	unlink(path);
}
