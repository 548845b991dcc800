/* probe.c: a program that knows nothing of Fallow. `probe CASE` exits 0 when memory and system calls do what they do anywhere.
 * With N MiB in PROBE_MIB it works on that much; the tests let it have less of that in memory at a time. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "probe: %s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno)); \
			_exit(1); \
		} \
	} while (0)

static size_t size; /* bytes to work on */
static volatile size_t huge = SIZE_MAX / 2; /* more than the compiler lets pass */

static uint64_t word_at(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static void fill(uint64_t *words)
{
	for (size_t i = 0; i < size / 8; i++)
		words[i] = word_at(i);
}

static void verify(const uint64_t *words)
{
	for (size_t i = 0; i < size / 8; i++)
		if (words[i] != word_at(i)) {
			fprintf(stderr, "probe: word %zu is %llx\n", i, (unsigned long long)words[i]);
			_exit(1);
		}
}

static void is_zero(const void *memory, size_t length)
{
	const uint64_t *words = memory;
	for (size_t i = 0; i < length / 8; i++)
		if (words[i] != 0) {
			fprintf(stderr, "probe: word %zu is %llx, not 0\n", i, (unsigned long long)words[i]);
			_exit(1);
		}
}

static void allocate(void)
{
	void *aligned = NULL;
	for (int round = 0; round < 3; round++) {
		uint64_t *words = calloc(size / 8, 8);
		MUST(words != NULL && malloc_usable_size(words) >= size);
		is_zero(words, size);
		fill(words);
		verify(words);
		free(words);
	}
	MUST(posix_memalign(&aligned, 1 << 20, 3 << 20) == 0 && (uintptr_t)aligned % (1 << 20) == 0);
	free(aligned);
	MUST(malloc(huge) == NULL && errno == ENOMEM);
	MUST(calloc(huge, 3) == NULL);
	free(NULL);
	char *small = malloc(100);
	memset(small, 7, 100);
	small = realloc(small, 5 << 20);
	MUST(small != NULL && small[0] == 7 && small[99] == 7);
	small = realloc(small, 50);
	MUST(small != NULL && small[0] == 7 && small[49] == 7);
	free(small);
}

static void reallocate(void)
{
	uint64_t *words = malloc(2 << 20), *other = NULL;
	size_t filled = 0;
	for (size_t bytes = 2 << 20; bytes <= size; bytes += bytes / 2) {
		words = realloc(words, bytes);
		MUST(words != NULL);
		for (; filled < bytes / 8; filled++)
			words[filled] = word_at(filled);
		free(other);
		other = malloc(2 << 20); /* in the way of growing */
	}
	for (size_t i = 0; i < filled; i++)
		MUST(words[i] == word_at(i));
	words = realloc(words, 3 << 20);
	for (size_t i = 0; i < (3 << 20) / 8; i++)
		MUST(words[i] == word_at(i));
	free(words);
	free(other);
}

static void mappings(void)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(memory != MAP_FAILED);
	is_zero(memory, size);
	fill((uint64_t *)memory);
	/* Ends that are no whole blocks go, and the rest stays. */
	MUST(munmap(memory, 3 * 4096) == 0 && munmap(memory + size - 300 * 4096, 300 * 4096) == 0);
	for (size_t i = 3 * 512; i < (size - 300 * 4096) / 8; i++)
		MUST(((uint64_t *)memory)[i] == word_at(i));
	MUST(madvise(memory + (4 << 20), (1 << 20) + 4096, MADV_DONTNEED) == 0);
	is_zero(memory + (4 << 20), (1 << 20) + 4096);
	MUST(((uint64_t *)memory)[(5 << 20) / 8 + 512] == word_at((5 << 20) / 8 + 512));
	MUST(munmap(memory + 3 * 4096, size - 303 * 4096) == 0);
	char *again = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(again != MAP_FAILED);
	is_zero(again, size);
	again = mremap(again, size, size + (8 << 20), MREMAP_MAYMOVE);
	MUST(again != MAP_FAILED);
	is_zero(again, size + (8 << 20));
	MUST(mprotect(again, size, PROT_READ) == -1);
	MUST(mlock(again, size) == -1);
	MUST(munmap(again, size + (8 << 20)) == 0);
}

static void *drain(void *argument)
{
	char buffer[65536];
	int *pair = argument;
	uint64_t sum = 0;
	ssize_t some;
	while ((some = read(pair[0], buffer, sizeof buffer)) > 0)
		for (ssize_t i = 0; i < some; i++)
			sum += (unsigned char)buffer[i];
	return (void *)(uintptr_t)sum;
}

static uint64_t sum_of(const unsigned char *bytes, size_t length)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < length; i++)
		sum += bytes[i];
	return sum;
}

static void files(void)
{
	char path[] = "/var/tmp/fallow-probe.XXXXXX";
	int file = mkstemp(path);
	MUST(file >= 0 && unlink(path) == 0);
	uint64_t *words = malloc(size);
	fill(words);
	MUST(write(file, words, size) == (ssize_t)size);
	memset(words, 0, size);
	MUST(lseek(file, 0, SEEK_SET) == 0);
	MUST(read(file, words, size) == (ssize_t)size);
	verify(words);
	memset(words, 0, size);
	MUST(pread(file, words, size, 0) == (ssize_t)size);
	verify(words);
	MUST(pread(file, words, size, (off_t)size - 8) == 8 && words[0] == word_at(size / 8 - 1));
	words[0] = word_at(0);
	struct iovec pieces[3] = {{words, 12345}, {(char *)words + 12345, size / 2}, {(char *)words + 12345 + size / 2, size / 2 - 12345}};
	MUST(pwritev(file, pieces, 3, 0) == (ssize_t)size);
	memset(words, 0, size);
	MUST(preadv(file, pieces, 3, 0) == (ssize_t)size);
	verify(words);
	MUST(read(-1, words, size) == -1 && errno == EBADF);
	MUST(getrandom(words, 1 << 20, 0) == 1 << 20);
	free(words);
	close(file);
}

static void streams(void)
{
	FILE *file = tmpfile();
	uint64_t *words = malloc(size);
	char *buffer = malloc(2 << 20);
	fill(words);
	MUST(setvbuf(file, buffer, _IOFBF, 2 << 20) == 0);
	MUST(fwrite(words, 8, size / 8, file) == size / 8 && fflush(file) == 0);
	memset(words, 0, size);
	rewind(file);
	MUST(fread(words, 8, size / 8, file) == size / 8);
	verify(words);
	MUST(fread(words, 8, size / 8, file) == 0 && feof(file));
	/* Piece by piece, as lines are. */
	rewind(file);
	for (size_t at = 0; at < (1 << 20) / 8; at += 13)
		MUST(fwrite(words + at, 8, 13, file) == 13);
	MUST(fflush(file) == 0);
	rewind(file);
	memset(words, 0, 2 << 20);
	for (size_t at = 0; at < (1 << 20) / 8; at += 5)
		MUST(fread(words + at, 8, 5, file) == 5);
	for (size_t i = 0; i < (1 << 20) / 8; i++)
		MUST(words[i] == word_at(i));
	memset(words, 'x', size);
	((char *)words)[size - 1] = 0;
	rewind(file);
	MUST(fputs((char *)words, file) >= 0 && fflush(file) == 0 && ftell(file) == (long)size - 1);
	fclose(file);
	free(words);
	free(buffer);
}

static void sockets(void)
{
	int pair[2], types[] = {SOCK_STREAM, -1};
	unsigned char *bytes = malloc(size);
	fill((uint64_t *)(void *)bytes);
	uint64_t sum = sum_of(bytes, size);
	for (int i = 0; i < 2; i++) {
		pthread_t thread;
		void *got;
		MUST((types[i] < 0 ? pipe(pair) : socketpair(AF_UNIX, types[i], 0, pair)) == 0);
		MUST(pthread_create(&thread, NULL, drain, pair) == 0);
		MUST((types[i] < 0 ? write(pair[1], bytes, size) : send(pair[1], bytes, size, 0)) == (ssize_t)size);
		close(pair[1]);
		MUST(pthread_join(thread, &got) == 0 && (uint64_t)(uintptr_t)got == sum);
		close(pair[0]);
	}
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	MUST(send(pair[1], bytes, 50000, 0) == 50000);
	memset(bytes, 0, 50000);
	MUST(recv(pair[0], bytes, size, 0) == 50000 && bytes[49999] == ((unsigned char *)&(uint64_t){word_at(6249)})[7]);
	free(bytes);
}

static void forks(void)
{
	uint64_t *words = malloc(size);
	int status;
	fill(words);
	pid_t child = fork();
	if (child == 0) {
		/* What a child does before it execs, and large memory of its own. */
		char *own = malloc(4 << 20);
		memset(own, 1, 4 << 20);
		execl("/bin/sh", "sh", "-c", "exit 5", NULL);
		_exit(9);
	}
	MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
	MUST(system("exit 6") >> 8 == 6);
	verify(words);
	child = fork();
	if (child == 0) {
		volatile uint64_t seen = words[0];
		_exit(seen == word_at(0) ? 0 : 1);
	}
	MUST(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	verify(words);
	free(words);
}

static void *work(void *argument)
{
	uint64_t *words = argument, sum = 0;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < size / 8; i += 512)
			sum += words[i] == word_at(i);
	char *own = calloc(1, 4 << 20);
	memset(own, 3, 4 << 20);
	free(own);
	return (void *)(uintptr_t)sum;
}

static void threads(void)
{
	pthread_t thread[4];
	void *got;
	uint64_t *words = malloc(size);
	fill(words);
	for (int i = 0; i < 4; i++)
		MUST(pthread_create(&thread[i], NULL, work, words) == 0);
	for (int i = 0; i < 4; i++)
		MUST(pthread_join(thread[i], &got) == 0 && (uintptr_t)got == 3 * (size / 4096));
	free(words);
}

static void closing(void)
{
	uint64_t *words = malloc(size);
	fill(words);
	for (int i = 3; i < 4096; i++)
		close(i);
	closefrom(3);
	close_range(3, ~0u, 0);
	verify(words);
	fill(words);
	verify(words);
	free(words);
}

static volatile sig_atomic_t seen;

static void on_bus(int number)
{
	(void)number;
	seen++;
	_exit(seen == 1 ? 42 : 1);
}

static void handler(void)
{
	struct sigaction old;
	uint64_t *words = malloc(size);
	fill(words);
	signal(SIGBUS, on_bus);
	MUST(sigaction(SIGBUS, NULL, &old) == 0 && old.sa_handler == on_bus);
	verify(words);
	raise(SIGBUS);
	_exit(1);
}

static void twice(void)
{
	char *memory = malloc(size);
	free(memory);
	free(memory);
}

static void after_free(void)
{
	char *memory = malloc(size);
	memset(memory, 1, size);
	free(memory);
	volatile char *stale = memory;
	_exit(stale[size / 2] == 1 ? 10 : 11);
}

/* Touches without an end: the donors go meanwhile. */
static void lose(void)
{
	uint64_t *words = malloc(size);
	fill(words);
	for (int round = 0; round < 60; round++) {
		verify(words);
		usleep(20000);
	}
	puts("kept");
}

/* What the kernel says this process has in memory: VmHWM in KiB, less than PROBE_LIMIT_MIB. */
static void resident(void)
{
	char line[256];
	long peak = 0;
	uint64_t *words = malloc(size);
	fill(words);
	verify(words);
	FILE *status = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, status) != NULL)
		sscanf(line, "VmHWM: %ld", &peak);
	fclose(status);
	long limit = atol(getenv("PROBE_LIMIT_MIB")) * 1024;
	if (peak > limit) {
		fprintf(stderr, "probe: %ld KiB were in memory, more than %ld\n", peak, limit);
		_exit(3);
	}
	free(words);
}

static void used_up(void)
{
	MUST(malloc((size_t)1 << 40) == NULL && errno == ENOMEM);
	MUST(mmap(NULL, (size_t)1 << 34, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	uint64_t *words = malloc(size);
	MUST(words != NULL);
	fill(words);
	verify(words);
	free(words);
}

/* Nearly all that three donors of 24 MiB hold, so that each has its part. */
static void whole(void)
{
	enum { PARTS = 7, EACH = 10 << 20 };
	unsigned char *parts[PARTS];
	for (int i = 0; i < PARTS; i++) {
		MUST((parts[i] = malloc(EACH)) != NULL);
		for (size_t at = 0; at < EACH; at += 4096)
			*(uint64_t *)(void *)(parts[i] + at) = word_at((size_t)i * EACH + at);
	}
	for (int i = 0; i < PARTS; i++)
		for (size_t at = 0; at < EACH; at += 4096)
			MUST(*(uint64_t *)(void *)(parts[i] + at) == word_at((size_t)i * EACH + at));
	for (int i = 0; i < PARTS; i++)
		free(parts[i]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {{"allocate", allocate}, {"reallocate", reallocate}, {"mappings", mappings}, {"files", files}, {"streams", streams},
		     {"sockets", sockets}, {"forks", forks}, {"threads", threads}, {"closing", closing}, {"handler", handler},
		     {"twice", twice}, {"after_free", after_free}, {"lose", lose}, {"resident", resident}, {"used_up", used_up},
		     {"whole", whole}};
	size = (size_t)(getenv("PROBE_MIB") != NULL ? atol(getenv("PROBE_MIB")) : 32) << 20;
	for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof cases[0]; i++)
		if (strcmp(cases[i].name, argv[1]) == 0) {
			cases[i].run();
			return 0;
		}
	return 64;
}
