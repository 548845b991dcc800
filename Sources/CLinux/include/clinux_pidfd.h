/* clinux_pidfd.h: process descriptors. C because glibc before 2.36 has no wrappers and syscall() is variadic. */
#ifndef CLINUX_PIDFD_H
#define CLINUX_PIDFD_H
#include <sys/types.h>

/* A descriptor (close-on-exec) that polls readable when the process has ended, or -errno (-ENOSYS before Linux 5.3). */
int clinux_pidfd_open(pid_t pid);
/* Sends a signal to exactly that process; 0 or -errno. */
int clinux_pidfd_signal(int pidfd, int signal);

enum { CLINUX_EXIT_RUNNING = 0, CLINUX_EXIT_CODE = 1, CLINUX_EXIT_SIGNAL = 2 };
/* Reaps a child that has ended, never blocks: *value becomes its exit code or signal. A CLINUX_EXIT_*, or -errno. */
int clinux_reap(pid_t pid, int *value);
#endif
