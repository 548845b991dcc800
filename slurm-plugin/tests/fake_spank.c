#include "fake_spank.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake_spank fake;

void fake_begin(spank_context_t context)
{
	for (int i = 0; i < 64; i++)
		free(fake.job_env[i]);
	for (int i = 0; i < 8; i++)
		free(fake.control_env[i]);
	memset(&fake, 0, sizeof fake);
	fake.context = context;
	fake.job = 7;
	fake.array_job = 7;
	fake.array_task = 0xfffffffe;
	fake.alloc_cores = "0-3";
	fake.step_cores = "0-1";
	if (context == S_CTX_REMOTE || context == S_CTX_JOB_SCRIPT)
		setenv("SLURMD_NODENAME", "node1", 1);
	else
		unsetenv("SLURMD_NODENAME");
}

static char **slot(char **table, size_t size, const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < size; i++)
		if (table[i] != NULL && strncmp(table[i], name, length) == 0 && table[i][length] == '=')
			return &table[i];
	for (size_t i = 0; i < size; i++)
		if (table[i] == NULL)
			return &table[i];
	abort();
}

static void set(char **table, size_t size, const char *name, const char *value)
{
	char **place = slot(table, size, name);
	free(*place);
	*place = NULL;
	if (value != NULL && asprintf(place, "%s=%s", name, value) < 0)
		abort();
}

static const char *get(char **table, size_t size, const char *name)
{
	char **place = slot(table, size, name);
	return *place ? *place + strlen(name) + 1 : NULL;
}

void fake_set_env(const char *name, const char *value)
{
	set(fake.job_env, 64, name, value);
}

const char *fake_env(const char *name)
{
	return get(fake.job_env, 64, name);
}

const char *fake_control_env(const char *name)
{
	return get(fake.control_env, 8, name);
}

int fake_option(const char *name, const char *argument, int remote)
{
	for (int i = 0; i < fake.registered; i++)
		if (strcmp(fake.options[i].name, name) == 0)
			return fake.options[i].cb(fake.options[i].val, argument, remote);
	abort();
}

spank_context_t spank_context(void)
{
	return fake.context;
}

spank_err_t spank_option_register(spank_t spank, struct spank_option *option)
{
	(void)spank;
	fake.options[fake.registered++] = *option;
	return ESPANK_SUCCESS;
}

spank_err_t spank_get_item(spank_t spank, spank_item_t which, ...)
{
	va_list arguments;
	va_start(arguments, which);
	void *to = va_arg(arguments, void *);
	va_end(arguments);
	(void)spank;
	int remote = fake.context == S_CTX_REMOTE;
	if (!remote && (fake.context != S_CTX_JOB_SCRIPT || which > S_JOB_ID))
		return fake.context == S_CTX_JOB_SCRIPT ? ESPANK_NOT_AVAIL : ESPANK_NOT_REMOTE;
	switch (which) {
	case S_JOB_UID: *(uid_t *)to = 1000; break;
	case S_JOB_GID: *(gid_t *)to = 1001; break;
	case S_JOB_ID: *(uint32_t *)to = fake.job; break;
	case S_JOB_STEPID: *(uint32_t *)to = fake.step; break;
	case S_JOB_NNODES: *(uint32_t *)to = 3; break;
	case S_JOB_NODEID: *(uint32_t *)to = 2; break;
	case S_JOB_LOCAL_TASK_COUNT: *(uint32_t *)to = 4; break;
	case S_JOB_ARRAY_ID: *(uint32_t *)to = fake.array_job; break;
	case S_JOB_ARRAY_TASK_ID: *(uint32_t *)to = fake.array_task; break;
	case S_JOB_ALLOC_MEM: *(uint64_t *)to = 2000; break;
	case S_STEP_ALLOC_MEM: *(uint64_t *)to = 1000; break;
	case S_JOB_ALLOC_CORES: *(const char **)to = fake.alloc_cores; break;
	case S_STEP_ALLOC_CORES: *(const char **)to = fake.step_cores; break;
	case S_TASK_PID:
		if (fake.task_pid == 0)
			return ESPANK_NOT_TASK;
		*(pid_t *)to = fake.task_pid;
		break;
	default: return ESPANK_BAD_ARG;
	}
	return ESPANK_SUCCESS;
}

spank_err_t spank_getenv(spank_t spank, const char *name, char *to, int size)
{
	(void)spank;
	if (fake.context != S_CTX_REMOTE)
		return ESPANK_NOT_REMOTE;
	const char *value = fake_env(name);
	if (value == NULL)
		return ESPANK_ENV_NOEXIST;
	return snprintf(to, (size_t)size, "%s", value) >= size ? ESPANK_NOSPACE : ESPANK_SUCCESS;
}

spank_err_t spank_setenv(spank_t spank, const char *name, const char *value, int overwrite)
{
	(void)spank, (void)overwrite;
	if (fake.context != S_CTX_REMOTE)
		return ESPANK_NOT_REMOTE;
	fake_set_env(name, value);
	return ESPANK_SUCCESS;
}

spank_err_t spank_unsetenv(spank_t spank, const char *name)
{
	return spank_setenv(spank, name, NULL, 1);
}

spank_err_t spank_job_control_setenv(spank_t spank, const char *name, const char *value, int overwrite)
{
	(void)spank, (void)overwrite;
	if (fake.context != S_CTX_LOCAL && fake.context != S_CTX_ALLOCATOR)
		return ESPANK_NOT_LOCAL;
	set(fake.control_env, 8, name, value);
	return ESPANK_SUCCESS;
}

static void __attribute__((format(printf, 2, 0))) note(const char *level, const char *format, va_list arguments)
{
	size_t used = strlen(fake.log);
	used += (size_t)snprintf(fake.log + used, sizeof fake.log - used, "%s: ", level);
	used += (size_t)vsnprintf(fake.log + used, sizeof fake.log - used, format, arguments);
	snprintf(fake.log + used, sizeof fake.log - used, "\n");
}

#define LOGGER(function, level) \
	void function(const char *format, ...) \
	{ \
		va_list arguments; \
		va_start(arguments, format); \
		note(level, format, arguments); \
		va_end(arguments); \
	}
LOGGER(slurm_error, "error")
LOGGER(slurm_info, "info")
LOGGER(slurm_debug, "debug")
LOGGER(slurm_debug2, "debug2")
