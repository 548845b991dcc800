#include "cfabric.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* The headers declare the entry points; their types serve, their symbols are never linked. */
static struct {
	int error;
	typeof(fi_getinfo) *getinfo;
	typeof(fi_freeinfo) *freeinfo;
	typeof(fi_dupinfo) *dupinfo;
	typeof(fi_fabric) *fabric;
	typeof(fi_version) *version;
} library;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *resolve(void *handle, const char *name)
{
	void *symbol = dlsym(handle, name);
	if (symbol == NULL)
		library.error = ENOSYS;
	return symbol;
}

/* libfabric is linked with libraries of every vendor. The constructor of one (libinfinipath) takes over SEGV, BUS, ILL,
 * ABRT, INT and TERM, which belong to the program: it gets them back. */
static void *open_library(void)
{
	struct sigaction before[NSIG], after;
	int known[NSIG];
	for (int number = 1; number < NSIG; number++)
		known[number] = sigaction(number, NULL, &before[number]) == 0;
	/* Never closed: providers have threads and exit handlers of their own. */
	void *handle = dlopen("libfabric.so.1", RTLD_NOW | RTLD_LOCAL);
	for (int number = 1; number < NSIG; number++)
		if (known[number] && sigaction(number, NULL, &after) == 0 && after.sa_handler != before[number].sa_handler)
			sigaction(number, &before[number], NULL);
	return handle;
}

static void load(void)
{
	void *handle = open_library();
	if (handle == NULL) {
		library.error = ENOENT;
		return;
	}
	library.getinfo = resolve(handle, "fi_getinfo");
	library.freeinfo = resolve(handle, "fi_freeinfo");
	library.dupinfo = resolve(handle, "fi_dupinfo");
	library.fabric = resolve(handle, "fi_fabric");
	library.version = resolve(handle, "fi_version");
}

int cfabric_load(void)
{
	pthread_once(&once, load);
	return library.error;
}

uint32_t cfabric_version(void) { return library.version == NULL ? 0 : library.version(); }

int cfabric_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags,
                    const struct fi_info *hints, struct fi_info **info)
{
	return library.getinfo(version, node, service, flags, hints, info);
}

void cfabric_freeinfo(struct fi_info *info) { library.freeinfo(info); }
/* fi_allocinfo is an inline that calls fi_dupinfo(NULL). */
struct fi_info *cfabric_allocinfo(void) { return library.dupinfo(NULL); }
int cfabric_fabric(struct fi_fabric_attr *attributes, struct fid_fabric **fabric)
{
	return library.fabric(attributes, fabric, NULL);
}
