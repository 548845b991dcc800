/* sys.c: system calls without the C library's names, which are ours. */
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

void *preload_sys_mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset)
{
	return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

int preload_sys_munmap(void *address, size_t length)
{
	return (int)syscall(SYS_munmap, address, length);
}

int preload_sys_madvise(void *address, size_t length, int advice)
{
	return (int)syscall(SYS_madvise, address, length, advice);
}

void *preload_sys_mremap(void *address, size_t old_length, size_t length, int flags, void *to)
{
	return (void *)syscall(SYS_mremap, address, old_length, length, flags, to);
}

int preload_sys_mprotect(void *address, size_t length, int protection)
{
	return (int)syscall(SYS_mprotect, address, length, protection);
}

int preload_sys_close(int descriptor)
{
	return (int)syscall(SYS_close, descriptor);
}

ssize_t preload_sys_read(int descriptor, void *buffer, size_t length)
{
	return syscall(SYS_read, descriptor, buffer, length);
}

ssize_t preload_sys_pread(int descriptor, void *buffer, size_t length, off_t offset)
{
	return syscall(SYS_pread64, descriptor, buffer, length, offset);
}

ssize_t preload_sys_pwrite(int descriptor, const void *buffer, size_t length, off_t offset)
{
	return syscall(SYS_pwrite64, descriptor, buffer, length, offset);
}

int preload_sys_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	return LIBC(sigaction)(number, action, old);
}

int preload_sys_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return (int)syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8);
}

void *preload_find(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (found == NULL) {
		preload_say("the C library has no %s: it is not the glibc this was made for", name);
		_exit(126);
	}
	return found;
}
