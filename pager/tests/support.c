#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

int make_file(size_t size)
{
	int file = memfd_create("pager-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file < 0 || ftruncate(file, (off_t)size) != 0)
		abort();
	uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	for (size_t i = 0; i < size / 8; i++)
		words[i] = word_at(i);
	munmap(words, size);
	if (fcntl(file, F_ADD_SEALS, F_SEAL_GROW) != 0)
		abort();
	return file;
}

static void pause_ms(unsigned ms)
{
	if (ms > 0)
		nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static int faulty_read(void *context, struct fallow_extent *extents, size_t count)
{
	struct faulty *faulty = context;
	int number = ++faulty->reads, error = 0;
	pause_ms(faulty->delay_read_ms);
	if (number >= faulty->fail_read_from && number <= faulty->fail_read_to)
		return EREMOTEIO;
	error = faulty->under.read(faulty->under.context, extents, count);
	for (size_t i = 0; i < count; i++)
		if (extents[i].offset < faulty->bad_end && extents[i].offset + extents[i].length > faulty->bad_begin) {
			extents[i].error = error = EIO;
			memset(extents[i].buffer, 0, extents[i].length); /* what must never be seen */
		}
	return error;
}

static int faulty_write(void *context, struct fallow_extent *extents, size_t count)
{
	struct faulty *faulty = context;
	faulty->writes++;
	pause_ms(faulty->delay_write_ms);
	return faulty->fail_writes != 0 ? faulty->fail_writes : faulty->under.write(faulty->under.context, extents, count);
}

static int faulty_confirm(void *context, struct fallow_extent *extents, size_t count, bool was_written)
{
	struct faulty *faulty = context;
	return faulty->under.confirm(faulty->under.context, extents, count, was_written);
}

void make_faulty(struct faulty *faulty, int file)
{
	struct fallow_shm_settings settings = {.descriptors = &file, .count = 1};
	memset(faulty, 0, sizeof *faulty);
	if (fallow_shm_source_open(&settings, &faulty->under) != 0)
		abort();
	faulty->source = (struct fallow_source){faulty, faulty->under.size, FALLOW_SOURCE_SIGNAL_SAFE, faulty_read, faulty_write,
						faulty_confirm};
}

struct fallow_pager_settings settings_of(const struct configuration *configuration, uint32_t block, unsigned cap)
{
	struct fallow_pager_settings settings;
	fallow_pager_settings_default(&settings);
	settings.mode = configuration->mode;
	settings.tracking = configuration->tracking;
	settings.kernel_features_off = configuration->without;
	settings.block_bytes = block;
	settings.resident_cap_bytes = (uint64_t)cap * block;
	settings.wait_limit_ms = 20000;
	return settings;
}

void set_up(struct setup *setup, const struct configuration *configuration, uint32_t block, unsigned cap, unsigned blocks)
{
	struct fallow_pager_settings settings = settings_of(configuration, block, cap);
	memset(setup, 0, sizeof *setup);
	setup->file = make_file((size_t)block * blocks);
	make_faulty(&setup->faulty, setup->file);
	int error = fallow_pager_create(&settings, &setup->pager);
	if (error == 0)
		error = fallow_region_map(setup->pager, &setup->faulty.source, 0, (uint64_t)block * blocks, &setup->region);
	if (error != 0) {
		fprintf(stderr, "  set_up: %s\n", strerror(error));
		_exit(3);
	}
	setup->words = fallow_region_address(setup->region);
	setup->count = (size_t)block * blocks / 8;
}

void tear_down(struct setup *setup)
{
	CHECK(fallow_pager_destroy(setup->pager) == 0);
	fallow_shm_source_close(&setup->faulty.under);
	close(setup->file);
}

size_t bytes_here(const void *start, size_t length)
{
	static _Thread_local uint64_t entries[4096];
	size_t page = (size_t)getpagesize(), pages = length / page, here = 0;
	int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	for (size_t at = 0; at < pages; at += 4096) {
		size_t some = pages - at < 4096 ? pages - at : 4096;
		off_t where = (off_t)(((uintptr_t)start / page + at) * 8);
		if (pread(file, entries, some * 8, where) != (ssize_t)(some * 8))
			abort();
		for (size_t i = 0; i < some; i++)
			here += entries[i] >> 63;
	}
	close(file);
	return here * page;
}

int count_descriptors(void)
{
	int count = 0;
	DIR *folder = opendir("/proc/self/fd");
	while (folder != NULL && readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

static size_t lines_of(const char *path, const char *key, size_t *value)
{
	char line[512];
	size_t count = 0;
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		count++;
		if (key != NULL && strncmp(line, key, strlen(key)) == 0)
			*value = strtoul(line + strlen(key), NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return count;
}

size_t count_mappings(void)
{
	return lines_of("/proc/self/maps", NULL, NULL);
}

size_t resident_kib(void)
{
	size_t value = 0;
	lines_of("/proc/self/status", "RssAnon:", &value);
	return value;
}
