/* clinux_memory.h: anonymous shared memory (memfd), its seals and its mapping. C because memfd_create, the seals and
 * MAP_POPULATE hide behind _GNU_SOURCE and fcntl() is variadic. */
#ifndef CLINUX_MEMORY_H
#define CLINUX_MEMORY_H
#include <stddef.h>
#include <stdint.h>

/* Makes a memfd of that size, close-on-exec. A descriptor or -errno. Its pages are charged to whoever touches them first. */
int clinux_memfd_create(const char *name, uint64_t size_bytes);

/* Forbids growth for ever, and any further seal. Shrinking stays possible, so that the owner can take the pages back by
 * clinux_memfd_truncate(fd, 0) while a peer still maps them. 0 or -errno. */
int clinux_memfd_seal_growth(int fd);
/* 1 when growth is sealed, 0 when not, -errno when the descriptor is no memfd. */
int clinux_memfd_is_growth_sealed(int fd);
/* The size in bytes or -errno. */
int64_t clinux_memfd_size(int fd);
/* 0 or -errno. */
int clinux_memfd_truncate(int fd, uint64_t size_bytes);

/* Maps shared, readable and writable; not inherited over fork. NULL and *error (positive errno) on failure. With prefault
 * every page is touched before the call returns. offset must be a multiple of the page size. */
void *clinux_memory_map(int fd, uint64_t offset_bytes, size_t size_bytes, int prefault, int *error);
/* 0 or -errno. */
int clinux_memory_unmap(void *address, size_t size_bytes);
#endif
