/* clinux_userfaultfd.h: whether this kernel lets this process serve its own page faults. C because the ioctl's numbers are macros that
 * Swift does not see. */
#ifndef CLINUX_USERFAULTFD_H
#define CLINUX_USERFAULTFD_H

/* 0, or an errno: ENOSYS: the kernel has none; EINVAL: none for ordinary users (before 5.11), or without SIGBUS or write
 * protection; EPERM: forbidden here, as by a container's filter. */
int clinux_userfaultfd_probe(void);
#endif
