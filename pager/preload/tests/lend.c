/* lend.c: plays `fallow run` for the tests: lends memory files of this process, and starts a program with them.
 *
 *   lend LIBRARY DONORS BYTES_EACH LOCAL_BYTES cache|durable|relay|durable-relay|hang lose_after_ms PROGRAM...
 *
 * Each file has a control page in front, as a donor's has. With lose_after_ms not 0 the donors are taken away then, as an agent
 * does: the word, then the pages. With a relay the first donor is a file, and the others' bytes lie behind the relay, which fails from
 * then on; with hang it takes requests, and answers none. Exits as the program did, 128+n for signal n. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../relay.h"

enum { CONTROL = 4096, WORD = 64 };

static unsigned long long inode_of(int file)
{
	struct stat status;
	if (fstat(file, &status) != 0)
		abort();
	return (unsigned long long)status.st_ino;
}

static void set_file(const char *name, int file)
{
	char text[64];
	snprintf(text, sizeof text, "%d:%d:%llu", (int)getpid(), file, inode_of(file));
	setenv(name, text, 1);
}

static struct {
	struct relay_header *header;
	char *bytes;
	_Atomic int is_lost;
	bool hangs;
} relay;

/* The other end of a relay, as simple as can be: it looks all the time. */
static void *serve(void *argument)
{
	struct relay_slot *slots = (struct relay_slot *)(void *)((char *)relay.header + RELAY_HEADERS);
	char *data = (char *)relay.header + RELAY_DATA;
	for (;;) {
		nanosleep(&(struct timespec){0, 20000}, NULL);
		for (uint32_t i = 0; i < relay.header->slots; i++) {
			uint32_t posted = RELAY_POSTED;
			struct relay_slot *slot = &slots[i];
			if (!atomic_compare_exchange_strong(&slot->state, &posted, RELAY_SERVED))
				continue;
			char *at = data + i * relay.header->slot_bytes;
			if (atomic_load(&relay.is_lost) && relay.hangs)
				continue;
			if (slot->offset + slot->length > relay.header->capacity_bytes)
				abort();
			if (atomic_load(&relay.is_lost))
				slot->error = EIO;
			else if (slot->operation == RELAY_WRITE)
				memcpy(relay.bytes + slot->offset, at, slot->length);
			else
				memcpy(at, relay.bytes + slot->offset, slot->length);
			atomic_store(&slot->state, RELAY_DONE);
			syscall(SYS_futex, &slot->state, FUTEX_WAKE, 1, NULL, NULL, 0);
		}
	}
	return argument;
}

static int start_relay(size_t bytes, bool hangs)
{
	enum { SLOTS = 3, SLOT_BYTES = 65536, WHOLE = RELAY_DATA + SLOTS * SLOT_BYTES };
	pthread_t thread;
	int file = memfd_create("relay", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, WHOLE) != 0)
		return -1;
	relay.header = mmap(NULL, WHOLE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	relay.bytes = malloc(bytes);
	memset(relay.bytes, 0xA5, bytes);
	relay.hangs = hangs;
	*relay.header = (struct relay_header){.magic = RELAY_MAGIC, .version = RELAY_VERSION, .slots = SLOTS, .capacity_bytes = bytes,
					      .slot_bytes = SLOT_BYTES};
	return pthread_create(&thread, NULL, serve, NULL) == 0 ? file : -1;
}

int main(int argc, char **argv)
{
	static char donors[16384];
	uint32_t *words[64];
	int files[64], status;
	if (argc < 8)
		return 64;
	int count = atoi(argv[2]), lose_ms = atoi(argv[6]);
	if (count < 1 || count > 64)
		return 64;
	size_t bytes = strtoull(argv[3], NULL, 10), all = bytes * (size_t)count;
	bool hangs = strcmp(argv[5], "hang") == 0, has_relay = hangs || strstr(argv[5], "relay") != NULL;
	if (has_relay) {
		int file = start_relay(bytes * (size_t)(count - 1), hangs);
		if (file < 0)
			return 64;
		set_file("FALLOW_RUN_RELAY", file);
		count = 1;
	}
	for (int i = 0; i < count; i++) {
		int file = memfd_create("donor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (file < 0 || ftruncate(file, (off_t)(CONTROL + bytes)) != 0 || fcntl(file, F_ADD_SEALS, F_SEAL_GROW) != 0)
			return 64;
		/* What another borrower left here must never be seen. */
		char *memory = mmap(NULL, CONTROL + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		memset(memory + CONTROL, 0xA5, bytes);
		files[i] = file;
		words[i] = (uint32_t *)(void *)(memory + WORD);
		snprintf(donors + strlen(donors), sizeof donors - strlen(donors), "%s%d:%d:%llu:%d:%d", i > 0 ? "," : "",
			 (int)getpid(), file, inode_of(file), CONTROL, WORD);
	}
	setenv("FALLOW_RUN_MEMORY", donors, 1);
	set_file("FALLOW_RUN_CLAIM", memfd_create("claim", MFD_CLOEXEC));
	setenv("FALLOW_RUN_LOCAL", argv[4], 1);
	if (strncmp(argv[5], "durable", 7) == 0) {
		char path[] = "/var/tmp/fallow-lend.XXXXXX";
		int scratch = mkostemp(path, O_CLOEXEC);
		if (scratch < 0 || unlink(path) != 0 || ftruncate(scratch, (off_t)all) != 0)
			return 64;
		set_file("FALLOW_RUN_SCRATCH", scratch);
	}
	char parent[24];
	snprintf(parent, sizeof parent, "%d", (int)getpid());
	setenv("FALLOW_RUN_PARENT", parent, 1);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("LD_PRELOAD", argv[1], 1);
		execvp(argv[7], argv + 7);
		_exit(127);
	}
	if (lose_ms > 0) {
		nanosleep(&(struct timespec){lose_ms / 1000, (long)(lose_ms % 1000) * 1000000}, NULL);
		atomic_store(&relay.is_lost, 1);
		for (int i = 0; i < count && !hangs; i++) {
			__atomic_store_n(words[i], 1, __ATOMIC_SEQ_CST);
			if (fallocate(files[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CONTROL, (off_t)bytes) != 0)
				return 64;
		}
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
