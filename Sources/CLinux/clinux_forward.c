#include "clinux_forward.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};
static _Atomic int receiver;

static void forward(int number, siginfo_t *info, void *context)
{
	int saved = errno, child = atomic_load(&receiver);
	(void)context;
	/* SI_KERNEL: the terminal, which has told its whole foreground group. */
	if (child > 0 && info->si_code != SI_KERNEL)
		kill(child, number);
	errno = saved;
}

int clinux_forward_signals(pid_t child)
{
	struct sigaction action = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigfillset(&action.sa_mask);
	atomic_store(&receiver, child);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (sigaction(signals[i], &action, NULL) != 0)
			return errno;
	return 0;
}

void clinux_forward_stop(void)
{
	atomic_store(&receiver, 0);
}
