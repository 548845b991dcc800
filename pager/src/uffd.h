/* uffd.h: the one door to the userfaultfd's requests. Interruptions and partial progress are dealt with here.
 * All return 0 or an errno value, are async-signal-safe, and end: what the kernel keeps refusing is given up. */
#ifndef FALLOW_UFFD_H
#define FALLOW_UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers a range for write protection, and for missing pages. UFFDIO_MOVE goes to registered ranges alone. */
int fallow_uffd_register(int uffd, void *start, size_t length, bool missing);

/* Puts copies of `source` where nothing is. Pages that are there already stay as they are. */
int fallow_uffd_copy(int uffd, void *destination, const void *source, size_t length, bool protect);

/* Moves the pages themselves. `*moved` says how far it came when it fails. */
int fallow_uffd_move(int uffd, void *destination, void *source, size_t length, size_t *moved);

/* Write-protects the pages that are there, or lifts that and wakes who waits. */
int fallow_uffd_protect(int uffd, void *start, size_t length, bool protect);

/* From now on touching the range is SIGBUS; nothing may be there. */
int fallow_uffd_poison(int uffd, void *start, size_t length);

/* Lets the threads that wait in a fault of the range try again. */
int fallow_uffd_wake(int uffd, void *start, size_t length);

/* Reads what the kernel has to say, without waiting: its word that an address range moved, on which it waits itself. */
void fallow_uffd_drain(int uffd);

#endif
