/* syscalls [without]: maps a region of fallow_pager.h whose pages are not here, with the userfaultfd that the node's agent hands out, and
 * hands it to system calls; `without`: with an ordinary one. Prints what they said. */
#include <errno.h>
#include <fallow.h>
#include <fallow_pager.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 1 << 20, WORDS = SIZE / 8 };

static void wrong(const char *what)
{
	printf("wrong: %s (%s)\n", what, strerror(errno));
	exit(1);
}

static void must(const char *what, int error)
{
	if (error == 0)
		return;
	printf("%s: %s\n", what, strerror(error));
	exit(1);
}

static int descriptor_from_agent(void)
{
	fallow_client *client;
	int device = -1, code = fallow_connect(NULL, &client);
	if (code == FALLOW_OK)
		code = fallow_userfaultfd(client, &device);
	if (code != FALLOW_OK) {
		printf("%s: %s\n", fallow_code_name(code), fallow_message());
		exit(2);
	}
	fallow_close(client);
	return device;
}

int main(int argc, char **argv)
{
	int device = argc > 1 && strcmp(argv[1], "without") == 0 ? -1 : descriptor_from_agent();
	int memory = memfd_create("source", MFD_CLOEXEC | MFD_ALLOW_SEALING), file = memfd_create("file", MFD_CLOEXEC);
	uint64_t *words = malloc(SIZE), word = 0;
	struct fallow_pager_settings settings;
	struct fallow_pager *pager;
	struct fallow_region *region;
	struct fallow_source source;

	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = i * 31 + 7;
	if (pwrite(memory, words, SIZE, 0) != SIZE || fcntl(memory, F_ADD_SEALS, F_SEAL_GROW) != 0)
		wrong("the source's bytes");
	fallow_pager_settings_default(&settings);
	settings.resident_cap_bytes = SIZE;
	settings.mode = FALLOW_MODE_THREAD;
	settings.userfaultfd_device = device;
	must("the source", fallow_shm_source_open(&(struct fallow_shm_settings){.descriptors = &memory, .count = 1}, &source));
	must("the pager", fallow_pager_create(&settings, &pager));
	must("the region", fallow_region_map(pager, &source, 0, SIZE, &region));
	uint64_t *mapped = fallow_region_address(region);
	ssize_t written = pwrite(file, mapped, SIZE / 2, 0);
	if (written < 0) {
		printf("write: %s\n", strerror(errno));
		return 3;
	}
	if (written != SIZE / 2 || pread(file, &word, 8, 8000) != 8 || word != 1000 * 31 + 7)
		wrong("what was written");
	if (pread(file, mapped + WORDS / 2, SIZE / 2, 0) != SIZE / 2 || mapped[WORDS / 2 + 1000] != 1000 * 31 + 7)
		wrong("what was read");
	must("storing", fallow_region_flush(region));
	must("unmapping", fallow_region_unmap(region));
	must("the end", fallow_pager_destroy(pager));
	fallow_shm_source_close(&source);
	if (pread(memory, &word, 8, SIZE / 2 + 8000) != 8 || word != 1000 * 31 + 7)
		wrong("what was stored");
	printf("system calls read and wrote what was not here\n");
	return 0;
}
