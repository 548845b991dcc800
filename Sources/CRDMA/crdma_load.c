#include "crdma_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

struct crdma_library crdma_library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *open_library(const char *name)
{
	/* Never closed: providers have threads and exit handlers of their own. */
	void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		crdma_library.error = ENOENT;
	return handle;
}

static void *resolve(void *handle, const char *name)
{
	void *symbol = dlsym(handle, name);
	if (symbol == NULL)
		crdma_library.error = ENOSYS;
	return symbol;
}

static void load(void)
{
	void *verbs = open_library("libibverbs.so.1"), *connection = open_library("librdmacm.so.1");
	if (crdma_library.error != 0)
		return;
#define FROM_VERBS(name) crdma_library.name = resolve(verbs, #name);
#define FROM_CONNECTION(name) crdma_library.name = resolve(connection, #name);
	CRDMA_VERBS(FROM_VERBS)
	CRDMA_CONNECTION(FROM_CONNECTION)
	/* Before a device is opened. Refused when the process has used verbs already: then it is that user's business. */
	if (crdma_library.error == 0)
		(void)crdma_library.ibv_fork_init();
}

int crdma_load(void)
{
	pthread_once(&once, load);
	return crdma_library.error;
}
