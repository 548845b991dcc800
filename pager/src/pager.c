/* pager.c: making and ending a pager. */
#include "pager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "kernel.h"

enum { CAP_BLOCKS_LEAST = 8, BLOCK_MOST = 2 << 20 };

void fallow_pager_settings_default(struct fallow_pager_settings *settings)
{
	*settings = (struct fallow_pager_settings){
		.version = FALLOW_PAGER_VERSION,
		.block_bytes = 65536,
		.readahead_blocks = 32,
		.standby_percent = 25,
		.wait_limit_ms = 30000,
		.handler_threads = 1,
		.userfaultfd_device = -1,
	};
}

static bool is_valid(const struct fallow_pager_settings *settings)
{
	size_t page = fallow_page_bytes();
	uint32_t block = settings->block_bytes;
	return settings->version == FALLOW_PAGER_VERSION && block >= page && block <= BLOCK_MOST && (block & (block - 1)) == 0 &&
	       settings->resident_cap_bytes / block >= CAP_BLOCKS_LEAST && settings->standby_percent >= 5 &&
	       settings->standby_percent <= 50 && settings->wait_limit_ms >= 1 && settings->wait_limit_ms <= 3600000 &&
	       settings->handler_threads >= 1 && settings->handler_threads <= 16 &&
	       (unsigned)settings->mode <= FALLOW_MODE_SIGBUS && (unsigned)settings->tracking <= FALLOW_TRACKING_WP_FAULTS;
}

/* Which features are used, of those that are there. ENOSYS: one is missing that cannot be done without. */
static int choose_features(struct fallow_pager *pager)
{
	const struct fallow_pager_settings *settings = &pager->settings;
	uint32_t found = fallow_pager_kernel_features() & ~settings->kernel_features_off;
	uint32_t for_async = FALLOW_KERNEL_WP_ASYNC | FALLOW_KERNEL_EVENT_REMAP;
	if (!(found & FALLOW_KERNEL_USERFAULTFD))
		return ENOSYS;
	pager->is_sigbus = settings->mode == FALLOW_MODE_SIGBUS;
	pager->is_async = settings->tracking == FALLOW_TRACKING_WP_ASYNC;
	if (settings->tracking == FALLOW_TRACKING_AUTO)
		pager->is_async = !pager->is_sigbus && (found & for_async) == for_async;
	if ((pager->is_async && (found & for_async) != for_async) || (pager->is_sigbus && !(found & FALLOW_KERNEL_SIGBUS)))
		return ENOSYS;
	pager->features = FALLOW_KERNEL_USERFAULTFD | (found & (FALLOW_KERNEL_POISON | FALLOW_KERNEL_MOVE));
	if (pager->is_async)
		pager->features |= for_async;
	if (pager->is_sigbus)
		pager->features |= FALLOW_KERNEL_SIGBUS;
	return 0;
}

static int open_all(struct fallow_pager *pager)
{
	pager->uffd = fallow_uffd_open(pager->settings.userfaultfd_device, pager->features);
	if (pager->uffd < 0)
		return errno == EINVAL ? ENOSYS : errno;
	pager->stop_event = eventfd(0, EFD_CLOEXEC);
	pager->empty_file = memfd_create("fallow-unreadable", MFD_CLOEXEC);
	if (pager->stop_event < 0 || pager->empty_file < 0)
		return errno;
	if (pager->is_async && (pager->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) < 0)
		return errno;
	pager->alive = mmap(NULL, pager->page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pager->alive == MAP_FAILED) {
		pager->alive = NULL;
		return errno;
	}
	*pager->alive = 1;
	if (madvise(pager->alive, pager->page_bytes, MADV_WIPEONFORK) != 0)
		return errno;
	int error = fallow_slots_open(pager);
	return error != 0 ? error : fallow_twins_open(pager);
}

/* Everything that open_all and the threads' start made. */
static void close_all(struct fallow_pager *pager)
{
	struct guard guard;
	fallow_guard_enter(&guard, pager);
	pager->stopping = true;
	fallow_guard_leave(&guard);
	fallow_change_tell(&pager->service);
	if (pager->has_service)
		pthread_join(pager->service_thread, NULL);
	if (pager->stop_event >= 0 && eventfd_write(pager->stop_event, 1) == 0)
		for (uint32_t i = 0; i < pager->handler_count; i++)
			pthread_join(pager->handlers[i], NULL);
	int descriptors[] = {pager->uffd, pager->pagemap, pager->empty_file, pager->stop_event};
	for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	fallow_slots_close(pager);
	fallow_twins_close(pager);
	if (pager->alive != NULL)
		munmap(pager->alive, pager->page_bytes);
	free(pager);
}

static int start_threads(struct fallow_pager *pager)
{
	sigset_t signals;
	fallow_signals_block(&signals); /* inherited by the threads */
	int error = fallow_handlers_start(pager);
	if (error == 0) {
		error = pthread_create(&pager->service_thread, NULL, fallow_service, pager);
		pager->has_service = error == 0;
	}
	fallow_signals_restore(&signals);
	return error;
}

int fallow_pager_create(const struct fallow_pager_settings *settings, struct fallow_pager **result)
{
	*result = NULL;
	if (!is_valid(settings))
		return EINVAL;
	struct fallow_pager *pager = calloc(1, sizeof *pager);
	if (pager == NULL)
		return ENOMEM;
	pager->settings = *settings;
	pager->uffd = pager->pagemap = pager->empty_file = pager->stop_event = -1;
	pager->page_bytes = fallow_page_bytes();
	pager->block_bytes = settings->block_bytes;
	pager->cap_blocks = settings->resident_cap_bytes / settings->block_bytes;
	int error = choose_features(pager);
	if (error == 0)
		error = open_all(pager);
	if (error == 0)
		error = start_threads(pager);
	if (error == 0 && pager->is_sigbus)
		error = fallow_sigbus_install();
	if (error != 0)
		close_all(pager);
	else
		*result = pager;
	return error;
}

int fallow_pager_destroy(struct fallow_pager *pager)
{
	struct guard guard;
	int error = 0;
	if (fallow_is_child(pager))
		return ECHILD;
	fallow_guard_enter(&guard, pager);
	uint64_t deadline = fallow_wait_deadline(pager);
	while (error == 0 && pager->regions != NULL)
		error = fallow_region_close(pager->regions, deadline);
	fallow_guard_leave(&guard);
	if (error != 0)
		return error;
	if (pager->is_sigbus)
		fallow_sigbus_remove();
	close_all(pager);
	return 0;
}
