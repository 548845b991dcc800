/* scan.c: which pages were written since they were protected last (UFFD_FEATURE_WP_ASYNC). */
#include <errno.h>

#include "kernel.h"
#include "pager.h"

enum { REGIONS_AT_ONCE = 32 };

int fallow_scan(struct fallow_pager *pager, char *start, size_t length, bool clear, struct run *runs, size_t capacity,
		char **reached)
{
	struct page_region found[REGIONS_AT_ONCE];
	struct pm_scan_arg scan = {.size = sizeof scan, .start = (uintptr_t)start, .end = (uintptr_t)start + length};
	scan.flags = clear ? PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC : 0;
	scan.vec = (uintptr_t)found;
	scan.vec_len = capacity < REGIONS_AT_ONCE ? capacity : REGIONS_AT_ONCE;
	scan.category_mask = scan.return_mask = PAGE_IS_WRITTEN;
	int count;
	do
		count = ioctl(pager->pagemap, PAGEMAP_SCAN, &scan);
	while (count < 0 && (errno == EINTR || errno == EAGAIN));
	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++)
		runs[i] = (struct run){(char *)(uintptr_t)found[i].start, (size_t)(found[i].end - found[i].start)};
	*reached = (char *)(uintptr_t)scan.walk_end;
	return count;
}
