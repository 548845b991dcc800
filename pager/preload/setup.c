/* setup.c: from the environment to an open arena. The pager and its thread come with the first large allocation after main began. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pager.h"
#include "preload.h"
#include "relay.h"

enum { DONORS_MAX = 1024 };

struct preload_settings preload_settings;
static _Atomic bool main_began, has_spoken;
static pthread_mutex_t setup_lock = PTHREAD_MUTEX_INITIALIZER;
/* initial-exec: to read it calls nothing that may allocate. */
static _Thread_local bool is_setting_up __attribute__((tls_model("initial-exec")));

const char *preload_program(void)
{
	return program_invocation_short_name != NULL ? program_invocation_short_name : "?";
}

static uint64_t number_in(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end;
	if (text == NULL || *text == 0)
		return otherwise;
	unsigned long long value = strtoull(text, &end, 10);
	return *end == 0 ? value : otherwise;
}

static bool text_in(const char *name, char *to, size_t capacity)
{
	const char *text = getenv(name);
	to[0] = 0;
	if (text == NULL || strlen(text) >= capacity)
		return false;
	strcpy(to, text);
	return true;
}

/* Once, before main: a program may change its environment later. */
void preload_settings_read(void)
{
	const char *fallback = getenv("FALLOW_RUN_FALLBACK");
	preload_settings.has_memory = text_in("FALLOW_RUN_MEMORY", preload_settings.donors, sizeof preload_settings.donors);
	preload_settings.has_memory |= text_in("FALLOW_RUN_RELAY", preload_settings.relay, sizeof preload_settings.relay);
	text_in("FALLOW_RUN_CLAIM", preload_settings.claim, sizeof preload_settings.claim);
	text_in("FALLOW_RUN_SCRATCH", preload_settings.scratch, sizeof preload_settings.scratch);
	text_in("FALLOW_RUN_STATISTICS", preload_settings.statistics, sizeof preload_settings.statistics);
	preload_settings.local_bytes = number_in("FALLOW_RUN_LOCAL", 64u << 20);
	preload_settings.block_bytes = number_in("FALLOW_RUN_BLOCK", 65536);
	preload_settings.threshold_bytes = number_in("FALLOW_RUN_THRESHOLD", 1u << 20);
	if (preload_settings.threshold_bytes < 65536)
		preload_settings.threshold_bytes = 65536;
	preload_settings.falls_back = fallback != NULL && strcmp(fallback, "local") == 0;
	preload_settings.is_direct = number_in("FALLOW_RUN_PARENT", 0) == (uint64_t)getppid();
}

/* The file of another process by PID:FD:INODE; `more` is what follows. -1 with errno. */
static int open_passed(const char *text, const char **more)
{
	int pid, descriptor, used = 0;
	unsigned long long inode;
	char path[64];
	struct stat status;
	errno = EINVAL;
	if (sscanf(text, "%d:%d:%llu%n", &pid, &descriptor, &inode, &used) < 3)
		return -1;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, descriptor);
	int file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return -1;
	if (fstat(file, &status) != 0 || status.st_ino != inode) {
		preload_sys_close(file);
		errno = ESTALE;
		return -1;
	}
	*more = text + used;
	return file;
}

/* One process at a time: the lock goes with the process, and a fork does not inherit it. */
static int claim(void)
{
	const char *more;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int file = open_passed(preload_settings.claim, &more);
	if (file < 0 || (file = preload_descriptor_keep(file)) < 0)
		return errno;
	if (fcntl(file, F_SETLK, &lock) == 0)
		return 0;
	int error = errno;
	if ((error == EACCES || error == EAGAIN) && fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		preload_say("the remote memory is in use by process %d: one process at a time has it", (int)lock.l_pid);
	return error;
}

struct donors {
	int files[DONORS_MAX];
	const uint32_t *words[DONORS_MAX];
	size_t count;
	uint64_t data_offset;
	bool has_words;
};

static int open_donors(struct donors *donors)
{
	const char *at = preload_settings.donors;
	while (*at != 0) {
		unsigned long long offset, word;
		int used = 0;
		if (donors->count == DONORS_MAX)
			return E2BIG;
		int file = open_passed(at, &at);
		if (file < 0)
			return errno;
		donors->files[donors->count] = file;
		if (sscanf(at, ":%llu:%n", &offset, &used) < 1 || used == 0)
			return EINVAL;
		at += used;
		donors->data_offset = offset;
		if (*at == '-') {
			at++;
		} else {
			if (sscanf(at, "%llu%n", &word, &used) < 1)
				return EINVAL;
			at += used;
			size_t page = fallow_page_bytes();
			char *mapping = preload_sys_mmap(NULL, page, PROT_READ, MAP_SHARED, file, (off_t)(word / page * page));
			if (mapping == MAP_FAILED)
				return errno;
			donors->words[donors->count] = (const uint32_t *)(void *)(mapping + word % page);
			donors->has_words = true;
		}
		donors->count++;
		at += *at == ',';
	}
	return 0;
}

/* The source of donors on this node, of those on others behind a relay, or of both. */
static int open_source(struct fallow_source *source)
{
	static struct donors donors;
	static struct joined joined;
	const char *more;
	int error = open_donors(&donors);
	for (size_t i = 0; i < donors.count && error == 0; i++)
		error = (donors.files[i] = preload_descriptor_keep(donors.files[i])) < 0 ? errno : 0;
	if (error != 0)
		return error;
	struct fallow_shm_settings shm = {.descriptors = donors.files, .count = donors.count, .takes_over = true,
					  .data_offset = donors.data_offset, .reclaimed = donors.has_words ? donors.words : NULL};
	if (preload_settings.relay[0] == 0)
		return fallow_shm_source_open(&shm, source);
	if (donors.count > 0 && (error = fallow_shm_source_open(&shm, &joined.first)) != 0)
		return error;
	/* The process first: while it lives, its number is nobody else's, and the file shows that it is the right one. */
	int process = (int)syscall(SYS_pidfd_open, atoi(preload_settings.relay), 0);
	if (process < 0 || (process = preload_descriptor_keep(process)) < 0)
		return errno;
	int file = open_passed(preload_settings.relay, &more);
	if (file < 0)
		return errno;
	if ((error = preload_relay_open(file, process, &joined.second)) != 0)
		return error;
	preload_join(&joined, source);
	return 0;
}

/* The pager's descriptors out of the program's reach, before there is a region that its thread would use them for. */
static int keep_pager(struct fallow_pager *pager)
{
	int *all[] = {&pager->uffd, &pager->pagemap, &pager->empty_file, &pager->stop_event};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (*all[i] >= 0 && (*all[i] = preload_descriptor_keep(*all[i])) < 0)
			return errno;
	return 0;
}

static int open_arena(void)
{
	const char *more;
	struct fallow_pager_settings settings;
	struct fallow_pager *pager;
	struct fallow_source source;
	int scratch = -1;
	int error = claim();
	if (error == 0 && preload_settings.scratch[0] != 0 &&
	    ((scratch = open_passed(preload_settings.scratch, &more)) < 0 || (scratch = preload_descriptor_keep(scratch)) < 0))
		error = errno;
	if (error == 0)
		error = open_source(&source);
	if (error != 0)
		return error;
	preload_signals_open();
	fallow_pager_settings_default(&settings);
	settings.mode = FALLOW_MODE_SIGBUS;
	settings.resident_cap_bytes = preload_settings.local_bytes;
	settings.block_bytes = (uint32_t)preload_settings.block_bytes;
	error = fallow_pager_create(&settings, &pager);
	if (error != 0)
		return error;
	error = keep_pager(pager);
	if (error != 0)
		return error;
	preload_arena.block_bytes = settings.block_bytes;
	preload_arena.page_bytes = fallow_page_bytes();
	preload_arena.hold_most = settings.resident_cap_bytes / 8;
	if (preload_arena.hold_most > 4u << 20)
		preload_arena.hold_most = 4u << 20;
	return preload_arena_open(pager, &source, scratch);
}

bool preload_ready(void)
{
	int state = atomic_load_explicit(&preload_arena.state, memory_order_acquire);
	if (state == ARENA_OPEN)
		return true;
	if (state != ARENA_UNUSED || is_setting_up || !preload_settings.has_memory || !atomic_load(&main_began))
		return false;
	pthread_mutex_lock(&setup_lock);
	if (atomic_load(&preload_arena.state) == ARENA_UNUSED) {
		is_setting_up = true;
		int saved = errno, error = open_arena();
		if (error != 0)
			preload_say("remote memory cannot be used: %s", strerror(error));
		errno = saved;
		is_setting_up = false;
		atomic_store(&preload_arena.state, error == 0 ? ARENA_OPEN : ARENA_REFUSED);
	}
	pthread_mutex_unlock(&setup_lock);
	return atomic_load(&preload_arena.state) == ARENA_OPEN;
}

bool preload_may_fall_back(void)
{
	int state = atomic_load(&preload_arena.state);
	if (preload_settings.falls_back || !preload_settings.has_memory || is_setting_up || !atomic_load(&main_began) ||
	    state == ARENA_CHILD)
		return true;
	if (state == ARENA_OPEN && !atomic_exchange(&has_spoken, true))
		preload_say("the remote memory is used up: an allocation failed (--remote-mem is too small, or --fallback=local)");
	return false;
}

void preload_stop_in_child(void)
{
	uintptr_t base = atomic_load(&preload_arena.base), end = atomic_load(&preload_arena.end);
	if (atomic_load(&preload_arena.state) == ARENA_UNUSED)
		return;
	atomic_store(&preload_arena.state, ARENA_CHILD);
	if (base == 0)
		return;
	/* Else a later mapping could come to lie where old pointers point to. */
	preload_sys_mmap((void *)base, end - base, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	preload_signals_in_child(base, end);
}

static int (*program_main)(int, char **, char **);

/* A program that takes malloc's address without a table has a stub of that name, which is undefined there and leads to ours. */
static bool has_own_malloc(void)
{
	Dl_info info, ours;
	const ElfW(Sym) *symbol = NULL;
	void *found = dlsym(RTLD_DEFAULT, "malloc");
	return dladdr(&preload_settings, &ours) != 0 && dladdr1(found, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 &&
	       info.dli_fbase != ours.dli_fbase && symbol != NULL && symbol->st_shndx != SHN_UNDEF;
}

static int begin_main(int argc, char **argv, char **environment)
{
	if (preload_settings.has_memory && has_own_malloc()) {
		preload_say("has its own malloc, so its memory cannot be made remote; run it without `fallow run`");
		if (preload_settings.is_direct)
			_exit(126);
		preload_settings.has_memory = false;
	}
	if (preload_settings.has_memory) {
		pthread_atfork(NULL, NULL, preload_stop_in_child);
		atexit(preload_report);
		preload_report_open();
	}
	atomic_store(&main_began, true);
	return program_main(argc, argv, environment);
}

int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
EXPORT int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
			     void (*rtld_fini)(void), void *stack_end)
{
	program_main = main;
	preload_settings_read();
	return LIBC(__libc_start_main)(begin_main, argc, argv, init, fini, rtld_fini, stack_end);
}
