/* clinux_thread.h: a thread with a name and a CPU. C because pthread_setname_np() and the affinity calls with their
 * CPU_* macros hide behind _GNU_SOURCE. */
#ifndef CLINUX_THREAD_H
#define CLINUX_THREAD_H
#include <stddef.h>
#include <stdint.h>

/* Starts a joinable thread. cpu < 0: not pinned. The name is cut to 15 bytes. 0 or -errno (-EINVAL: no such CPU, or not
 * one that this process may use); *thread is then for clinux_thread_join. */
int clinux_thread_start(void (*body)(void *context), void *context, const char *name, int cpu, uint64_t *thread);
/* Waits until the thread's body has returned. 0 or -errno. */
int clinux_thread_join(uint64_t thread);
/* Keeps the calling thread, and threads and processes that it starts, on the CPUs of a kernel mask. 0 or -errno (-EINVAL: none
 * of them is for this process). */
int clinux_thread_pin(const unsigned char *mask, size_t size_bytes);
/* Lets the calling thread run before all ordinary ones (SCHED_FIFO at its lowest priority). What it starts is ordinary again.
 * If it then computes for 2 s without once waiting, the kernel ends the process (RLIMIT_RTTIME). 0 or -errno. */
int clinux_thread_run_first(void);

/* How often this thread lost its CPU to another while it could have gone on. */
int64_t clinux_thread_preemptions(void);
#endif
