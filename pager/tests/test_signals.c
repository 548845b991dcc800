/* test_signals.c: handlers, ours and the program's, and threads that wait in a fault. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static struct setup shared;
static volatile sig_atomic_t ticks, wrong_ticks;

static void on_alarm(int number)
{
	(void)number;
	size_t index = (size_t)ticks++ * 1777 % shared.count;
	wrong_ticks += shared.words[index] != word_at(index);
}

/* A program's own handler faults while the program faults: on a small stack of its own. */
static void nested(const struct configuration *configuration)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART};
	struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
	size_t wrong = 0;
	sigaltstack(&alternate, NULL);
	set_up(&shared, configuration, 4096, 16, 256);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int round = 0; round < 40 || (ticks < 50 && round < 4000); round++)
		for (size_t i = 0; i < shared.count; i += 300)
			wrong += shared.words[i] != word_at(i);
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(wrong == 0 && wrong_ticks == 0, "%zu, %d", wrong, (int)wrong_ticks);
	CHECK(ticks >= 50, "%d ticks", (int)ticks);
	tear_down(&shared);
}

static volatile sig_atomic_t handed_on;
static void *handed_address;

static void on_bus(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	handed_on++;
	handed_address = info->si_addr;
	/* Makes the address good, so that the access goes on. */
	mmap((void *)((uintptr_t)info->si_addr & ~4095ull), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* A SIGBUS that is not ours goes to the handler that was there before, and that handler is back when the pager has gone. */
static void chained(const struct configuration *configuration)
{
	struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, now;
	sigaction(SIGBUS, &action, NULL);
	set_up(&shared, configuration, 4096, 16, 64);
	int empty = memfd_create("empty", MFD_CLOEXEC);
	volatile char *beyond = mmap(NULL, 4096, PROT_READ, MAP_SHARED, empty, 0);
	CHECK(shared.words[700] == word_at(700));
	CHECK(beyond[100] == 0 && handed_on == 1 && handed_address == (void *)(beyond + 100));
	raise(SIGBUS);
	CHECK(handed_on == 2);
	CHECK(shared.words[7000] == word_at(7000));
	tear_down(&shared);
	CHECK(sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction == on_bus);
}

static void touch_foreign(void *argument)
{
	signal(SIGBUS, SIG_DFL);
	set_up(&shared, argument, 4096, 16, 64);
	int empty = memfd_create("empty", MFD_CLOEXEC);
	volatile char *beyond = mmap(NULL, 4096, PROT_READ, MAP_SHARED, empty, 0);
	(void)beyond[0];
}

static void default_action(const struct configuration *configuration)
{
#ifdef FALLOW_SANITIZED
	return; /* a sanitizer's own handler stands in between */
#endif
	int status = check_child(touch_foreign, (void *)(uintptr_t)configuration, 20);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %x", (unsigned)status);
}

static void *touch_same(void *argument)
{
	size_t index = 11 * 512 + (size_t)argument;
	return (void *)(uintptr_t)(shared.words[index] == word_at(index));
}

/* Many threads fault on one block at once: it is read once. */
static void one_block(const struct configuration *configuration)
{
	pthread_t threads[12];
	set_up(&shared, configuration, 4096, 16, 64);
	shared.faulty.delay_read_ms = 50;
	for (size_t i = 0; i < 12; i++)
		pthread_create(&threads[i], NULL, touch_same, (void *)i);
	for (size_t i = 0; i < 12; i++) {
		void *good = NULL;
		pthread_join(threads[i], &good);
		CHECK(good != NULL);
	}
	CHECK(shared.faulty.reads == 1, "%d reads", shared.faulty.reads);
	tear_down(&shared);
}

static void *wait_in_fault(void *argument)
{
	(void)argument;
	for (size_t block = 20; block < 60; block += 2)
		(void)shared.words[block * 512];
	return NULL;
}

static void unmap_under_waiter(void *argument)
{
	pthread_t thread;
	signal(SIGSEGV, SIG_DFL);
	set_up(&shared, argument, 4096, 16, 64);
	shared.faulty.delay_read_ms = 200;
	pthread_create(&thread, NULL, wait_in_fault, NULL);
	nanosleep(&(struct timespec){0, 50000000}, NULL);
	if (fallow_region_unmap(shared.region) != 0)
		_exit(5);
	pthread_join(thread, NULL);
	_exit(6);
}

/* The thread's access is an error, and not a wait for ever. */
static void unmapped(const struct configuration *configuration)
{
	int status = check_child(unmap_under_waiter, (void *)(uintptr_t)configuration, 20);
	CHECK((WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS)) || (WIFEXITED(status) && WEXITSTATUS(status) == 1),
	      "status %x", (unsigned)status);
}

const struct test signal_tests[] = {
	{"signals: a handler that faults", nested, false},
	{"signals: what is not ours goes to the handler before", chained, false},
	{"signals: without one, SIGBUS ends the program", default_action, false},
	{"signals: many threads on one block", one_block, false},
	{"signals: unmapped while a thread waits", unmapped, false},
	{NULL, NULL, false},
};
