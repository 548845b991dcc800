#include "clinux_pidfd.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_pidfd_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by definition */
	return fd < 0 ? -errno : (int)fd;
}

int clinux_pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int clinux_reap(pid_t pid, int *value)
{
	int status;
	pid_t reaped;
	do
		reaped = waitpid(pid, &status, WNOHANG);
	while (reaped < 0 && errno == EINTR);
	if (reaped < 0)
		return -errno;
	if (reaped == 0)
		return CLINUX_EXIT_RUNNING;
	if (WIFSIGNALED(status)) {
		*value = WTERMSIG(status);
		return CLINUX_EXIT_SIGNAL;
	}
	*value = WEXITSTATUS(status);
	return CLINUX_EXIT_CODE;
}
