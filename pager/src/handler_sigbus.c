/* handler_sigbus.c: SIGBUS mode. The faulting thread serves itself, with all signals blocked. Async-signal-safe calls alone.
 *
 * Signals that are not about our regions go to the handler that was there before. A program that installs its own later must hand on
 * what it does not know, as we do. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "pager.h"

static struct sigaction previous;
static struct fallow_lock install_lock;
static unsigned installed;

/* Whether the access was a write. Where the machine does not say, a block is taken to be read first. */
static bool was_write(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
	(void)context;
	return false;
#endif
}

static void hand_on(int number, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO ? previous.sa_sigaction != NULL
					   : previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		sigset_t mask = ((ucontext_t *)context)->uc_sigmask, all;
		for (int signal = 1; signal < NSIG; signal++)
			if (sigismember(&previous.sa_mask, signal) == 1)
				sigaddset(&mask, signal);
		if (!(previous.sa_flags & SA_NODEFER))
			sigaddset(&mask, number);
		pthread_sigmask(SIG_SETMASK, &mask, &all);
		if (previous.sa_flags & SA_SIGINFO)
			previous.sa_sigaction(number, info, context);
		else
			previous.sa_handler(number);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
		return;
	}
	if (previous.sa_handler == SIG_IGN && info->si_code <= 0)
		return; /* sent by somebody, and unwanted */
	struct sigaction fatal = {.sa_handler = SIG_DFL};
	sigaction(number, &fatal, NULL);
	raise(number); /* comes when this handler returns */
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int saved = errno, ticket = -1;
	enum outcome outcome = FAILED;
	/* BUS_ADRERR: userfaultfd. Poison and broken memory have codes of their own. */
	if (info->si_code == BUS_ADRERR) {
		struct fallow_region *region = fallow_registry_hold(info->si_addr, &ticket);
		if (region != NULL && region->pager->is_sigbus) {
			size_t offset = (size_t)((char *)info->si_addr - region->address);
			bool is_write = was_write(context);
			uint32_t index = (uint32_t)(offset / region->pager->block_bytes);
#if !defined(__x86_64__)
			is_write = region->blocks[index].state == RESIDENT;
#endif
			outcome = fallow_fault_wait(region, index, is_write);
		}
		fallow_registry_release(ticket);
	}
	if (outcome == FAILED)
		hand_on(number, info, context);
	errno = saved;
}

int fallow_sigbus_install(void)
{
	int error = 0;
	fallow_lock_take(&install_lock);
	if (installed == 0) {
		struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
		sigfillset(&action.sa_mask);
		struct sigaction before;
		sigaction(SIGBUS, NULL, &before);
		/* When somebody put theirs over ours and kept ours behind it, ours is still reached through theirs. */
		if ((before.sa_flags & SA_SIGINFO) == 0 || before.sa_sigaction != on_sigbus) {
			previous = before;
			error = sigaction(SIGBUS, &action, NULL) != 0 ? errno : 0;
		}
	}
	installed += error == 0;
	fallow_lock_give(&install_lock);
	return error;
}

void fallow_sigbus_remove(void)
{
	struct sigaction now;
	fallow_lock_take(&install_lock);
	if (--installed == 0 && sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
	    now.sa_sigaction == on_sigbus)
		sigaction(SIGBUS, &previous, NULL);
	fallow_lock_give(&install_lock);
}
