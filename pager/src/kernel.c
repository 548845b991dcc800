#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct feature {
	uint32_t bit;
	uint64_t uffd;
	const char *name, *since, *without;
} features[] = {
	{FALLOW_KERNEL_USERFAULTFD, UFFD_FEATURE_PAGEFAULT_FLAG_WP, "userfaultfd, user mode only, with write protection", "5.11",
	 "there are no load/store regions; put and get work"},
	{FALLOW_KERNEL_SIGBUS, UFFD_FEATURE_SIGBUS, "UFFD_FEATURE_SIGBUS", "4.14", "faults are served by threads alone"},
	{FALLOW_KERNEL_POISON, UFFD_FEATURE_POISON, "UFFDIO_POISON", "6.6",
	 "unreadable blocks are covered by an empty file, which gives SIGBUS as well"},
	{FALLOW_KERNEL_WP_ASYNC, UFFD_FEATURE_WP_ASYNC, "UFFD_FEATURE_WP_ASYNC with PAGEMAP_SCAN", "6.7",
	 "the first write to a block faults, and whole blocks are written back"},
	{FALLOW_KERNEL_MOVE, UFFD_FEATURE_MOVE, "UFFDIO_MOVE", "6.8",
	 "blocks leave by mremap and come by a copy, which costs more"},
	{FALLOW_KERNEL_EVENT_REMAP, UFFD_FEATURE_EVENT_REMAP, "UFFD_FEATURE_EVENT_REMAP", "4.11",
	 "WP_ASYNC cannot be used, since a block would lose the note of its writes on its way out"},
};

enum { FEATURES = sizeof features / sizeof features[0] };

int fallow_uffd_new(int device)
{
	if (device >= 0)
		return ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
}

/* Asks an open one for features; `found` may be NULL. 0 or errno. */
static int handshake(int uffd, uint64_t wanted, uint64_t *found)
{
	struct uffdio_api api = {.api = UFFD_API, .features = wanted};
	if (ioctl(uffd, UFFDIO_API, &api) < 0)
		return errno;
	if (found != NULL)
		*found = api.features;
	return 0;
}

int fallow_uffd_open(int device, uint32_t wanted)
{
	uint64_t bits = 0;
	for (int i = 0; i < FEATURES; i++)
		if (wanted & features[i].bit)
			bits |= features[i].uffd;
	int uffd = fallow_uffd_new(device);
	if (uffd < 0)
		return -1;
	int error = handshake(uffd, bits, NULL);
	if (error == 0)
		return uffd;
	close(uffd);
	errno = error;
	return -1;
}

/* PAGEMAP_SCAN is a thing of its own: a kernel with WP_ASYNC may be built without it, or /proc be absent. */
static bool can_scan(void)
{
	char page[1];
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct pm_scan_arg scan = {.size = sizeof scan, .start = (uintptr_t)page & ~(uint64_t)4095};
	scan.end = scan.start + 4096;
	scan.category_mask = scan.return_mask = PAGE_IS_WRITTEN;
	bool can = pagemap >= 0 && ioctl(pagemap, PAGEMAP_SCAN, &scan) >= 0;
	if (pagemap >= 0)
		close(pagemap);
	return can;
}

uint32_t fallow_pager_kernel_features(void)
{
	uint64_t found = 0;
	uint32_t result = 0;
	int uffd = fallow_uffd_new(-1);
	if (uffd < 0)
		return 0;
	if (handshake(uffd, 0, &found) != 0)
		found = 0;
	close(uffd);
	for (int i = 0; i < FEATURES; i++)
		if ((found & features[i].uffd) != 0)
			result |= features[i].bit;
	if (!can_scan())
		result &= ~FALLOW_KERNEL_WP_ASYNC;
	return result & FALLOW_KERNEL_USERFAULTFD ? result : 0;
}

size_t fallow_pager_kernel_text(char *text, size_t capacity)
{
	struct utsname name;
	size_t used = 0;
	uint32_t found = fallow_pager_kernel_features();
	if (uname(&name) != 0)
		snprintf(name.release, sizeof name.release, "unknown");
	for (int i = -1; i < FEATURES; i++) {
		char *at = used < capacity ? text + used : NULL;
		size_t left = used < capacity ? capacity - used : 0;
		int more;
		if (i < 0)
			more = snprintf(at, left, "Linux %s offers this process:\n", name.release);
		else if (found & features[i].bit)
			more = snprintf(at, left, "  yes      %s\n", features[i].name);
		else
			more = snprintf(at, left, "  missing  %s (Linux %s); without it %s\n", features[i].name, features[i].since,
					features[i].without);
		used += more > 0 ? (size_t)more : 0;
	}
	return used;
}
