#include "uffd.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "kernel.h"
#include "pager.h"

/* How long the kernel may say "not now": EAGAIN while the address space is being changed, EBUSY while a page is in use. */
enum { PATIENCE_MS = 5000, PATIENCE_BUSY_MS = 20 };

static bool may_try_again(int uffd, int error, uint64_t *began_ns)
{
	uint64_t now = fallow_clock_ns();
	if (error != EAGAIN && error != EINTR && error != EBUSY)
		return false;
	if (*began_ns == 0)
		*began_ns = now;
	if (now - *began_ns > (error == EBUSY ? PATIENCE_BUSY_MS : PATIENCE_MS) * 1000000ull)
		return false;
	if (error == EAGAIN)
		fallow_uffd_drain(uffd);
	sched_yield();
	return true;
}

/* A mremap of ours is over only when its message was read (EVENT_REMAP), and until then the kernel refuses everything. Whoever
 * would read it may be the one who is refused. Faults that are read by the way are asked to come again. */
void fallow_uffd_drain(int uffd)
{
	struct uffd_msg messages[8];
	ssize_t got = read(uffd, messages, sizeof messages);
	uintptr_t page = fallow_page_bytes();
	for (ssize_t i = 0; i < got / (ssize_t)sizeof messages[0]; i++)
		if (messages[i].event == UFFD_EVENT_PAGEFAULT)
			fallow_uffd_wake(uffd, (void *)((uintptr_t)messages[i].arg.pagefault.address & ~(page - 1)), page);
}

static uint64_t address_of(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

int fallow_uffd_register(int uffd, void *start, size_t length, bool missing)
{
	struct uffdio_register request = {.range = {address_of(start), length},
					  .mode = UFFDIO_REGISTER_MODE_WP};
	if (missing)
		request.mode |= UFFDIO_REGISTER_MODE_MISSING;
	return ioctl(uffd, UFFDIO_REGISTER, &request) < 0 ? errno : 0;
}

int fallow_uffd_copy(int uffd, void *destination, const void *source, size_t length, bool protect)
{
	uint64_t began = 0;
	for (size_t done = 0; done < length;) {
		struct uffdio_copy request = {.dst = address_of(destination) + done, .src = address_of(source) + done,
					      .len = length - done, .mode = protect ? UFFDIO_COPY_MODE_WP : 0};
		if (ioctl(uffd, UFFDIO_COPY, &request) == 0)
			return 0;
		int error = errno;
		if (request.copy > 0)
			done += (size_t)request.copy;
		else if (error == EEXIST)
			done += fallow_page_bytes();
		else if (!may_try_again(uffd, error, &began))
			return error;
	}
	return 0;
}

int fallow_uffd_move(int uffd, void *destination, void *source, size_t length, size_t *moved)
{
	uint64_t began = 0;
	for (*moved = 0; *moved < length;) {
		struct uffdio_move request = {.dst = address_of(destination) + *moved, .src = address_of(source) + *moved,
					      .len = length - *moved};
		if (ioctl(uffd, UFFDIO_MOVE, &request) == 0) {
			*moved = length;
			return 0;
		}
		int error = errno;
		if (request.move > 0)
			*moved += (size_t)request.move;
		else if (!may_try_again(uffd, error, &began))
			return error;
	}
	return 0;
}

int fallow_uffd_protect(int uffd, void *start, size_t length, bool protect)
{
	struct uffdio_writeprotect request = {.range = {address_of(start), length},
					      .mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0};
	uint64_t began = 0;
	while (ioctl(uffd, UFFDIO_WRITEPROTECT, &request) != 0) {
		int error = errno;
		if (!may_try_again(uffd, error, &began))
			return error;
	}
	return 0;
}

int fallow_uffd_poison(int uffd, void *start, size_t length)
{
	uint64_t began = 0;
	for (size_t done = 0; done < length;) {
		struct uffdio_poison request = {.range = {address_of(start) + done, length - done}};
		if (ioctl(uffd, UFFDIO_POISON, &request) == 0)
			return 0;
		int error = errno;
		if (request.updated > 0)
			done += (size_t)request.updated;
		else if (error == EEXIST)
			done += fallow_page_bytes();
		else if (!may_try_again(uffd, error, &began))
			return error;
	}
	return 0;
}

int fallow_uffd_wake(int uffd, void *start, size_t length)
{
	struct uffdio_range request = {address_of(start), length};
	return ioctl(uffd, UFFDIO_WAKE, &request) < 0 ? errno : 0;
}
