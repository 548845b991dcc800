/* signals.c: SIGBUS serves faults, so it stays unblocked and with the pager; what the program wants of it is kept here.
 *
 * The pager's handler passes on what is no fault of a region to `on_sigbus`, which says what happened and does what the program
 * asked for. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "preload.h"

static struct sigaction wanted; /* what the program set for SIGBUS */
static _Atomic bool is_open;

static void die_by(int number)
{
	struct sigaction fatal = {.sa_handler = SIG_DFL};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, number);
	LIBC(sigaction)(number, &fatal, NULL);
	raise(number);
	preload_sys_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	if (info->si_code > 0 && preload_is_ours(info->si_addr, 1))
		preload_say("touched remote memory that cannot be read: it was lost with its donor, or freed before; ends by SIGBUS");
	if (wanted.sa_flags & SA_SIGINFO)
		wanted.sa_sigaction(number, info, context);
	else if (wanted.sa_handler != SIG_DFL && wanted.sa_handler != SIG_IGN)
		wanted.sa_handler(number);
	else if (wanted.sa_handler == SIG_DFL || info->si_code > 0)
		die_by(number);
}

/* Before the pager puts its handler in front. */
void preload_signals_open(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigset_t set;
	LIBC(sigaction)(SIGBUS, &action, &wanted);
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	preload_sys_sigmask(SIG_UNBLOCK, &set, NULL);
	atomic_store(&is_open, true);
}

static uintptr_t child_base, child_end;

static void on_child_fault(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	(void)context;
	if (at >= child_base && at < child_end)
		preload_say("a forked child touched remote memory, which stays with its parent: a child has to exec (or use threads)");
	die_by(number);
}

void preload_signals_in_child(uintptr_t base, uintptr_t end)
{
	struct sigaction action = {.sa_sigaction = on_child_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK}, before;
	child_base = base;
	child_end = end;
	if (LIBC(sigaction)(SIGSEGV, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
		LIBC(sigaction)(SIGSEGV, &action, NULL);
}

EXPORT int sigaction(int number, const struct sigaction *restrict action, struct sigaction *restrict old)
{
	struct sigaction changed;
	if (action != NULL && number != SIGBUS) {
		/* The handler may touch regions. */
		changed = *action;
		sigdelset(&changed.sa_mask, SIGBUS);
		action = &changed;
	}
	if (number != SIGBUS || !atomic_load(&is_open))
		return LIBC(sigaction)(number, action, old);
	if (old != NULL)
		*old = wanted;
	if (action != NULL)
		wanted = *action;
	return 0;
}

EXPORT sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, old;
	return sigaction(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static int set_mask(int how, const sigset_t *set, sigset_t *old, bool is_process)
{
	sigset_t changed;
	if (set != NULL && how != SIG_UNBLOCK) {
		changed = *set;
		sigdelset(&changed, SIGBUS);
		set = &changed;
	}
	return is_process ? LIBC(sigprocmask)(how, set, old) : LIBC(pthread_sigmask)(how, set, old);
}

EXPORT int pthread_sigmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	return set_mask(how, set, old, false);
}

EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	return set_mask(how, set, old, true);
}

/* The kernel puts signal frames on stacks, and has threads begin there. */
EXPORT int sigaltstack(const stack_t *restrict stack, stack_t *restrict old)
{
	if (stack == NULL || !preload_is_ours(stack->ss_sp, stack->ss_size))
		return LIBC(sigaltstack)(stack, old);
	preload_say("a signal stack cannot lie in remote memory");
	errno = EINVAL;
	return -1;
}

EXPORT int pthread_attr_setstack(pthread_attr_t *attributes, void *address, size_t size)
{
	if (!preload_is_ours(address, size))
		return LIBC(pthread_attr_setstack)(attributes, address, size);
	preload_say("a thread's stack cannot lie in remote memory");
	return EINVAL;
}
