/* test_interface.c: bad settings and arguments, the texts, the library's symbols. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

static void bad_settings(const struct configuration *configuration)
{
	struct fallow_pager *pager;
	struct fallow_pager_settings good = settings_of(configuration, 65536, 16), bad;
#define REFUSED(change, error) (bad = good, change, fallow_pager_create(&bad, &pager) == (error) && pager == NULL)
	CHECK(REFUSED(bad.version = 2, EINVAL) && REFUSED(bad.block_bytes = 0, EINVAL) && REFUSED(bad.block_bytes = 12288, EINVAL));
	CHECK(REFUSED(bad.block_bytes = 4u << 20, EINVAL) && REFUSED(bad.resident_cap_bytes = 7 * 65536, EINVAL));
	CHECK(REFUSED(bad.standby_percent = 51, EINVAL) && REFUSED(bad.handler_threads = 0, EINVAL) && REFUSED(bad.wait_limit_ms = 0, EINVAL));
	CHECK(REFUSED(bad.kernel_features_off = FALLOW_KERNEL_USERFAULTFD, ENOSYS));
	CHECK(REFUSED((bad.tracking = FALLOW_TRACKING_WP_ASYNC, bad.kernel_features_off = FALLOW_KERNEL_EVENT_REMAP), ENOSYS));
	CHECK(REFUSED(bad.userfaultfd_device = 1000, EBADF));
#undef REFUSED
}

static void bad_regions(const struct configuration *configuration)
{
	struct setup setup;
	struct fallow_region *region;
	set_up(&setup, configuration, 4096, 8, 16);
	const struct fallow_source *source = &setup.faulty.source;
	CHECK(fallow_region_map(setup.pager, source, 0, 0, &region) == EINVAL && region == NULL);
	CHECK(fallow_region_map(setup.pager, source, 1, 4096, &region) == EINVAL);
	CHECK(fallow_region_map(setup.pager, source, 0, 17 * 4096, &region) == EINVAL);
	CHECK(fallow_region_map(setup.pager, source, 16 * 4096, 4096, &region) == EINVAL);
	CHECK(fallow_region_map(setup.pager, source, UINT64_MAX - 4095, 8192, &region) == EINVAL);
	CHECK(fallow_region_prefetch(setup.region, 16 * 4096, 1) == EINVAL && fallow_region_prefetch(setup.region, 0, 0) == 0);
	CHECK(fallow_region_retry(setup.region, 1, UINT64_MAX) == EINVAL);
	CHECK(fallow_region_at((const char *)(uintptr_t)setup.words + 5) == setup.region && fallow_region_at(&setup) == NULL);
	CHECK(fallow_region_size(setup.region) == 16 * 4096 && ((uintptr_t)setup.words & 0x1fffff) == 0);
	struct fallow_source unsafe = *source;
	unsafe.flags = 0;
	int expected = configuration->mode == FALLOW_MODE_SIGBUS ? ENOTSUP : 0;
	CHECK(fallow_region_map(setup.pager, &unsafe, 0, 4096, &region) == expected);
	tear_down(&setup);
}

static void bad_files(const struct configuration *configuration)
{
	(void)configuration;
	struct fallow_source source;
	int file = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING), plain = open("/dev/zero", O_RDWR | O_CLOEXEC);
	struct fallow_shm_settings settings = {.descriptors = &file, .count = 1};
	CHECK(ftruncate(file, 8192) == 0 && fallow_shm_source_open(&settings, &source) == EPERM);
	CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_GROW) == 0 && fallow_shm_source_open(&settings, &source) == 0);
	fallow_shm_source_close(&source);
	settings.stripe_bytes = 100;
	CHECK(fallow_shm_source_open(&settings, &source) == EINVAL);
	settings = (struct fallow_shm_settings){.descriptors = &plain, .count = 1};
	CHECK(fallow_shm_source_open(&settings, &source) == EINVAL);
	settings.count = 0;
	CHECK(fallow_shm_source_open(&settings, &source) == EINVAL);
	close(file), close(plain);
}

static void texts(const struct configuration *configuration)
{
	char text[2048], small[10];
	struct setup setup;
	size_t length = fallow_pager_kernel_text(text, sizeof text);
	CHECK(length < sizeof text && strlen(text) == length && strstr(text, "UFFDIO_MOVE") != NULL);
	CHECK(fallow_pager_kernel_text(small, sizeof small) == length && strlen(small) == 9);
	set_up(&setup, configuration, 65536, 8, 16);
	CHECK(fallow_pager_describe(setup.pager, text, sizeof text) == strlen(text));
	CHECK((strstr(text, "SIGBUS mode") != NULL) == (configuration->mode == FALLOW_MODE_SIGBUS), "%s", text);
	tear_down(&setup);
}

/* The library gives away its interface and nothing else, and needs libc alone. */
static void symbols(const struct configuration *configuration)
{
	(void)configuration;
	char command[600];
	const char *library = getenv("LIBRARY");
	if (library == NULL)
		return;
	snprintf(command, sizeof command,
		 "set -e; for f in $(nm -D --defined-only '%s' | awk '$2 == \"T\" { sub(/@.*/, \"\", $3); print $3 }'); do "
		 "grep -q \"$f(\" include/fallow_pager.h; done; [ \"$(nm -D --defined-only '%s' | grep -c ' T ')\" = 21 ]",
		 library, library);
	CHECK(system(command) == 0, "an exported symbol is not in the header, or is missing");
#ifndef FALLOW_SANITIZED
	snprintf(command, sizeof command, "! readelf -d '%s' | grep NEEDED | grep -v -e 'libc\\.so' -e 'ld-linux'", library);
	CHECK(system(command) == 0, "it needs more than libc");
#endif
}

const struct test interface_tests[] = {
	{"interface: bad settings", bad_settings, true}, {"interface: bad regions", bad_regions, false},
	{"interface: bad files", bad_files, true},	 {"interface: texts", texts, false},
	{"interface: symbols", symbols, true},		 {NULL, NULL, false},
};
