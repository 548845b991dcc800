/* test_pin.c: system calls on regions. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

static void drive_out(struct setup *setup)
{
	for (int round = 0; round < 3; round++)
		for (size_t block = 32; block < 64; block++)
			CHECK(setup->words[block * 512] == word_at(block * 512));
}

static void system_calls(const struct configuration *configuration)
{
	struct setup setup;
	char copy[4 * 4096];
	set_up(&setup, configuration, 4096, 16, 64);
	char *bytes = (char *)(uintptr_t)setup.words;
	int pair[2];
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	CHECK(write(pair[1], bytes, 4096) == -1 && errno == EFAULT, "a page that is not here: EFAULT, not zeros");

	CHECK(fallow_region_pin(setup.region, 0, 3 * 4096, FALLOW_PIN_READ) == 0);
	drive_out(&setup);
	CHECK(write(pair[1], bytes, 3 * 4096) == 3 * 4096 && read(pair[0], copy, 3 * 4096) == 3 * 4096);
	CHECK(((uint64_t *)copy)[1000] == word_at(1000));
	struct iovec to = {copy, 2 * 4096}, from = {bytes + 4096, 2 * 4096};
	CHECK(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 2 * 4096 && ((uint64_t *)copy)[5] == word_at(517));
	CHECK(fallow_region_unpin(setup.region, 0, 3 * 4096, FALLOW_PIN_READ) == 0);

	CHECK(fallow_region_pin(setup.region, 8 * 4096, 2 * 4096, FALLOW_PIN_WRITE) == 0);
	drive_out(&setup);
	memset(copy, 0x5a, sizeof copy);
	CHECK(write(pair[1], copy, 2 * 4096) == 2 * 4096 && read(pair[0], bytes + 8 * 4096, 2 * 4096) == 2 * 4096, "%s", strerror(errno));
	CHECK(fallow_region_unpin(setup.region, 8 * 4096, 2 * 4096, FALLOW_PIN_WRITE) == 0);
	drive_out(&setup);
	for (size_t i = 8 * 4096; i < 10 * 4096; i++)
		if (bytes[i] != 0x5a) {
			CHECK(false, "what a system call wrote was lost at %zu", i);
			break;
		}
	CHECK(fallow_region_flush(setup.region) == 0);
	CHECK(pread(setup.file, copy, 4096, 9 * 4096) == 4096 && copy[4095] == 0x5a);
	close(pair[0]), close(pair[1]);
	tear_down(&setup);
}

/* While it is pinned for writing, each flush stores it: a device is not noticed. */
static void flush_while_pinned(const struct configuration *configuration)
{
	struct setup setup;
	uint64_t stored = 0;
	set_up(&setup, configuration, 4096, 16, 64);
	CHECK(fallow_region_pin(setup.region, 0, 4096, FALLOW_PIN_WRITE) == 0);
	for (uint64_t round = 1; round < 4; round++) {
		setup.words[3] = round;
		CHECK(fallow_region_flush(setup.region) == 0);
		CHECK(pread(setup.file, &stored, 8, 24) == 8 && stored == round);
	}
	CHECK(fallow_region_unpin(setup.region, 0, 4096, FALLOW_PIN_WRITE) == 0);
	tear_down(&setup);
}

static void limits(const struct configuration *configuration)
{
	struct setup setup;
	struct fallow_pager_statistics statistics;
	set_up(&setup, configuration, 4096, 16, 64);
	CHECK(fallow_region_pin(setup.region, 0, 64 * 4096, 0) == ENOMEM);
	CHECK(fallow_region_pin(setup.region, 0, 13 * 4096, 0) == ENOMEM);
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(statistics.pinned_bytes == 0, "with an error nothing is pinned");
	CHECK(fallow_region_pin(setup.region, 0, 12 * 4096, 0) == 0);
	drive_out(&setup); /* the rest still works */
	CHECK(fallow_region_pin(setup.region, 4096, 4096, 0) == 0, "pins count");
	CHECK(fallow_region_unpin(setup.region, 0, 12 * 4096, 0) == 0);
	fallow_pager_get_statistics(setup.pager, &statistics);
	CHECK(statistics.pinned_bytes == 4096);
	CHECK(fallow_region_unpin(setup.region, 0, 2 * 4096, 0) == EINVAL && fallow_region_unpin(setup.region, 4096, 4096, FALLOW_PIN_WRITE) == EINVAL);
	CHECK(fallow_region_unpin(setup.region, 4096, 4096, 0) == 0);
	CHECK(fallow_region_pin(setup.region, 64 * 4096, 1, 0) == EINVAL && fallow_region_pin(setup.region, 0, UINT64_MAX, 0) == EINVAL &&
	      fallow_region_pin(setup.region, UINT64_MAX, 2, 0) == EINVAL && fallow_region_pin(setup.region, 0, 1, 8) == EINVAL);
	int pins = 0, error;
	while ((error = fallow_region_pin(setup.region, 0, 1, 0)) == 0)
		pins++;
	CHECK(error == EOVERFLOW && pins == 255);
	setup.faulty.fail_read_to = 10000;
	setup.faulty.fail_read_from = 1;
	CHECK(fallow_region_pin(setup.region, 50 * 4096, 1, 0) == EREMOTEIO || fallow_region_pin(setup.region, 20 * 4096, 1, 0) == EREMOTEIO);
	tear_down(&setup);
}

/* With a full userfaultfd system calls may touch what is not here. Needs the right to open the device. */
static void full_descriptor(const struct configuration *configuration)
{
	struct fallow_pager_settings settings = settings_of(configuration, 4096, 16);
	struct setup setup;
	uint64_t word = 0;
	settings.userfaultfd_device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (settings.userfaultfd_device < 0 || configuration->mode == FALLOW_MODE_SIGBUS)
		return;
	set_up(&setup, configuration, 4096, 16, 64);
	CHECK(fallow_pager_destroy(setup.pager) == 0);
	CHECK(fallow_pager_create(&settings, &setup.pager) == 0);
	CHECK(fallow_region_map(setup.pager, &setup.faulty.source, 0, 64 * 4096, &setup.region) == 0);
	char *bytes = fallow_region_address(setup.region);
	int file = memfd_create("plain", MFD_CLOEXEC);
	CHECK(pwrite(file, bytes, 40 * 4096, 0) == 40 * 4096, "%s", strerror(errno));
	CHECK(pread(file, &word, 8, 39 * 4096) == 8 && word == word_at(39 * 512));
	CHECK(pread(file, bytes + 20 * 4096, 20 * 4096, 0) == 20 * 4096, "%s", strerror(errno));
	CHECK(((uint64_t *)bytes)[20 * 512 + 3] == word_at(3));
	close(file), close(settings.userfaultfd_device);
	tear_down(&setup);
}

const struct test pin_tests[] = {
	{"pin: system calls", system_calls, false},
	{"pin: flush while pinned for writing", flush_while_pinned, false},
	{"pin: limits", limits, false},
	{"pin: a full userfaultfd", full_descriptor, false},
	{NULL, NULL, false},
};
