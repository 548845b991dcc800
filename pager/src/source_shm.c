/* source_shm.c: donors' memory files on this node. Read by pread, so that a truncated file is a short read and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fallow_pager.h"

enum { FILES_MAX = 1024, STRIPE_DEFAULT = 65536 };

struct shm {
	size_t count;
	uint64_t stripe;
	uint64_t data_offset;
	bool holes_are_zeros;
	struct file {
		int descriptor;
		uint64_t size; /* of the data */
		unsigned char *mapping; /* to ask mincore about, never to touch; NULL where nobody asks */
		const uint32_t *reclaimed;
	} files[];
};

/* The part of an extent that lies in one stripe. */
struct part {
	const struct file *file;
	uint64_t offset;
	size_t length;
};

static struct part part_at(const struct shm *shm, uint64_t offset, size_t length)
{
	if (shm->count == 1)
		return (struct part){&shm->files[0], shm->data_offset + offset, length};
	uint64_t stripe = offset / shm->stripe, within = offset % shm->stripe;
	uint64_t left = shm->stripe - within;
	return (struct part){&shm->files[stripe % shm->count], shm->data_offset + stripe / shm->count * shm->stripe + within,
			     left < length ? (size_t)left : length};
}

static int transfer(const struct part *part, char *buffer, bool is_write)
{
	size_t done = 0;
	while (done < part->length) {
		off_t at = (off_t)(part->offset + done);
		ssize_t some = is_write ? pwrite(part->file->descriptor, buffer + done, part->length - done, at)
					: pread(part->file->descriptor, buffer + done, part->length - done, at);
		if (some < 0 && errno == EINTR)
			continue;
		if (some < 0)
			return errno == EPERM ? ENODATA : errno; /* sealed against growing, so it was truncated */
		if (some == 0)
			return ENODATA;
		done += (size_t)some;
	}
	return 0;
}

/* Whether every page is in the file. mincore asks for what it has in memory (SEEK_HOLE would walk to the end of the file), and
 * pages that are elsewhere, in swap, are asked for one by one. The mapping is never touched. */
static bool is_whole(const struct file *file, uint64_t offset, size_t length)
{
	enum { PAGES = 512 };
	unsigned char here[PAGES];
	uint64_t page = (uint64_t)getpagesize(), end = offset + length;
	for (uint64_t at = offset / page * page; at < end;) {
		uint64_t pages = (end - at + page - 1) / page;
		pages = pages < PAGES ? pages : PAGES;
		if (mincore(file->mapping + at, pages * page, here) != 0)
			return false;
		for (uint64_t i = 0; i < pages; i++, at += page)
			if (!(here[i] & 1) && lseek(file->descriptor, (off_t)at, SEEK_DATA) != (off_t)at)
				return false;
	}
	return true;
}

/* The word first: it is set before the first page goes, so bytes that were copied before it are good. */
static int look(const struct shm *shm, const struct part *part)
{
	if (part->file->reclaimed != NULL) {
		atomic_thread_fence(memory_order_seq_cst);
		return __atomic_load_n(part->file->reclaimed, __ATOMIC_ACQUIRE) != 0 ? EOWNERDEAD : 0;
	}
	return shm->holes_are_zeros || is_whole(part->file, part->offset, part->length) ? 0 : ENODATA;
}

enum step { READ, WRITE, LOOK };

static int for_parts(const struct shm *shm, struct fallow_extent *extents, size_t count, enum step step)
{
	int first = 0;
	for (size_t i = 0; i < count; i++) {
		struct fallow_extent *extent = &extents[i];
		for (size_t done = 0; done < extent->length && extent->error == 0;) {
			struct part part = part_at(shm, extent->offset + done, extent->length - done);
			/* Writing would fill a hole, and so hide that the rest of the memory there is gone. */
			if (step != READ)
				extent->error = look(shm, &part);
			if (step != LOOK && extent->error == 0)
				extent->error = transfer(&part, (char *)extent->buffer + done, step == WRITE);
			done += part.length;
		}
		first = first != 0 ? first : extent->error;
	}
	return first;
}

static int shm_read(void *context, struct fallow_extent *extents, size_t count)
{
	return for_parts(context, extents, count, READ);
}

static int shm_write(void *context, struct fallow_extent *extents, size_t count)
{
	return for_parts(context, extents, count, WRITE);
}

static int shm_confirm(void *context, struct fallow_extent *extents, size_t count, bool was_written)
{
	(void)was_written;
	return for_parts(context, extents, count, LOOK);
}

static int add_file(struct shm *shm, int descriptor, bool takes_over, const uint32_t *reclaimed)
{
	struct stat status;
	int seals = fcntl(descriptor, F_GET_SEALS);
	if (seals < 0 || fstat(descriptor, &status) != 0)
		return EINVAL;
	if (!(seals & F_SEAL_GROW))
		return EPERM;
	if (status.st_size <= 0 || status.st_size % getpagesize() != 0 || (uint64_t)status.st_size <= shm->data_offset)
		return EINVAL;
	int own = takes_over ? descriptor : fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return errno;
	struct file *file = &shm->files[shm->count++];
	*file = (struct file){own, (uint64_t)status.st_size - shm->data_offset, NULL, reclaimed};
	if (reclaimed != NULL || shm->holes_are_zeros)
		return 0;
	void *mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, own, 0);
	if (mapping == MAP_FAILED)
		return errno;
	file->mapping = mapping;
	return madvise(mapping, (size_t)status.st_size, MADV_DONTFORK) != 0 ? errno : 0;
}

/* Whole stripes of the smallest file, times the files. */
static uint64_t size_of(const struct shm *shm)
{
	uint64_t least = shm->files[0].size;
	for (size_t i = 1; i < shm->count; i++)
		least = shm->files[i].size < least ? shm->files[i].size : least;
	return shm->count == 1 ? least : least / shm->stripe * shm->stripe * shm->count;
}

int fallow_shm_source_open(const struct fallow_shm_settings *settings, struct fallow_source *source)
{
	uint64_t stripe = settings->stripe_bytes != 0 ? settings->stripe_bytes : STRIPE_DEFAULT;
	int error = 0;
	if (settings->count == 0 || settings->count > FILES_MAX || stripe % (uint64_t)getpagesize() != 0 ||
	    settings->data_offset % (uint64_t)getpagesize() != 0)
		return EINVAL;
	struct shm *shm = calloc(1, sizeof *shm + settings->count * sizeof shm->files[0]);
	if (shm == NULL)
		return ENOMEM;
	shm->stripe = stripe;
	shm->data_offset = settings->data_offset;
	shm->holes_are_zeros = settings->holes_are_zeros;
	for (size_t i = 0; i < settings->count && error == 0; i++)
		error = add_file(shm, settings->descriptors[i], settings->takes_over,
				 settings->reclaimed != NULL ? settings->reclaimed[i] : NULL);
	*source = (struct fallow_source){shm, 0, FALLOW_SOURCE_SIGNAL_SAFE, shm_read, shm_write, shm_confirm};
	if (error == 0 && (source->size = size_of(shm)) == 0)
		error = EINVAL;
	if (error != 0)
		fallow_shm_source_close(source);
	return error;
}

void fallow_shm_source_close(struct fallow_source *source)
{
	struct shm *shm = source->context;
	for (size_t i = 0; shm != NULL && i < shm->count; i++) {
		if (shm->files[i].mapping != NULL)
			munmap(shm->files[i].mapping, shm->data_offset + shm->files[i].size);
		close(shm->files[i].descriptor);
	}
	free(shm);
	source->context = NULL;
}
