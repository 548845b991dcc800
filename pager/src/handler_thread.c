/* handler_thread.c: thread mode. Also reads what the kernel tells of our own mremap (EVENT_REMAP), which waits for that: so a handler
 * never waits for another thread of the pager, only for sources. What cannot be served at once stays asleep, and is woken to
 * fault anew when that has changed. */
#include <errno.h>
#include <poll.h>

#include "kernel.h"
#include "pager.h"
#include "uffd.h"

enum { MESSAGES = 8 };

static void serve(struct fallow_pager *pager, const struct uffd_msg *message)
{
	if (message->event != UFFD_EVENT_PAGEFAULT)
		return; /* reading it was all */
	int ticket;
	char *address = (char *)(uintptr_t)message->arg.pagefault.address;
	struct fallow_region *region = fallow_registry_hold(address, &ticket);
	if (region == NULL || region->pager != pager) {
		fallow_registry_release(ticket);
		char *page = (char *)((uintptr_t)address & ~(uintptr_t)(pager->page_bytes - 1));
		fallow_uffd_wake(pager->uffd, page, pager->page_bytes);
		return;
	}
	bool is_write = message->arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP);
	fallow_fault(region, (uint32_t)((size_t)(address - region->address) / pager->block_bytes), is_write);
	fallow_registry_release(ticket);
}

void *fallow_handler(void *argument)
{
	struct fallow_pager *pager = argument;
	struct pollfd watched[2] = {{.fd = pager->uffd, .events = POLLIN}, {.fd = pager->stop_event, .events = POLLIN}};
	for (;;) {
		struct uffd_msg messages[MESSAGES];
		ssize_t got = read(pager->uffd, messages, sizeof messages);
		for (ssize_t i = 0; i < got / (ssize_t)sizeof messages[0]; i++)
			serve(pager, &messages[i]);
		if (got > 0)
			continue;
		if (poll(watched, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (watched[1].revents != 0)
			return NULL;
	}
}

int fallow_handlers_start(struct fallow_pager *pager)
{
	uint32_t wanted = pager->is_sigbus ? (pager->is_async ? 1 : 0) : pager->settings.handler_threads;
	while (pager->handler_count < wanted) {
		int error = pthread_create(&pager->handlers[pager->handler_count], NULL, fallow_handler, pager);
		if (error != 0)
			return error;
		pager->handler_count++;
	}
	return 0;
}
