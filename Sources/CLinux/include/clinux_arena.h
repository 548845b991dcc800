/* clinux_arena.h: the memory file behind a shared-memory arena. C because memfd_create(2), fallocate(2)'s modes and
 * the seals stand behind _GNU_SOURCE, which Swift's Glibc module does not define. */
#ifndef CLINUX_ARENA_H
#define CLINUX_ARENA_H
#include <stdint.h>

/* A sparse memory file of byte_count bytes, close-on-exec, whose size can never change again (F_SEAL_GROW,
 * F_SEAL_SHRINK, F_SEAL_SEAL). The descriptor, or a negated errno. */
int clinux_arena_create(const char *name, int64_t byte_count);
/* 1 when the descriptor is a memory file whose size can never change, 0 when it is not. */
int clinux_arena_is_sealed(int fd);
/* Gives back the pages of [offset, offset + byte_count), mapped or not; they read as zeros. 0 or an errno. */
int clinux_arena_punch(int fd, int64_t offset, int64_t byte_count);
/* Has the pages of a mapping allocated, charged to the caller's cgroup. 0 or an errno. */
int clinux_arena_populate(void *address, uint64_t byte_count);
/* Asks for huge pages in a mapping. 0 or an errno: EINVAL where the kernel has none. */
int clinux_arena_huge_pages(void *address, uint64_t byte_count);
/* Leaves a mapping out of core dumps. 0 or an errno. */
int clinux_arena_skip_in_core_dumps(void *address, uint64_t byte_count);
#endif
