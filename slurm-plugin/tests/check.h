/* check.h: the smallest runner. Each test runs in a process of its own, which has 20 s; a crash is a failure. */
#ifndef FALLOW_CHECK_H
#define FALLOW_CHECK_H

#include <stdbool.h>

/* A test, and the tables of them that main.c runs. `skip` may say why a test cannot run on this machine. */
struct test {
	const char *name;
	void (*run)(void);
	const char *(*skip)(void);
};

extern const struct test grammar_tests[], argument_tests[], client_tests[], breaker_tests[], cord_tests[],
	submission_tests[], remote_tests[], choice_tests[], epilog_tests[], export_tests[];

/* Notes a failure of the running test; the test goes on. */
void check_failed(const char *file, int line, const char *what, const char *more, ...)
	__attribute__((format(printf, 4, 5)));

#define CHECK(condition, ...) \
	do { \
		if (!(condition)) \
			check_failed(__FILE__, __LINE__, #condition, " " __VA_ARGS__); \
	} while (0)

/* A folder that ends with the test. */
const char *check_folder(void);

/* Milliseconds that have passed since `began_ns` of fallow_now_ns(). */
double check_ms_since(unsigned long long began_ns);

/* How many descriptors this process holds. */
int check_descriptors(void);

#endif
