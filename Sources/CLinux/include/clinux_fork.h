/* clinux_fork.h: a mark that a forked child does not have. C because MADV_WIPEONFORK hides behind _GNU_SOURCE. */
#ifndef CLINUX_FORK_H
#define CLINUX_FORK_H
#include <stdint.h>

/* A word that reads 1 in this process and 0 in every child forked from now on, so that telling the two apart costs a load
 * and no system call. NULL where the kernel lacks MADV_WIPEONFORK (before 4.14). The page is never given back. */
const volatile uint32_t *clinux_fork_mark(void);
#endif
