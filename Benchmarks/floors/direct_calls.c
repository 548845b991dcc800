/* The ideal of one worker: a function of a library called again and again on the worker's CPU, by nobody's request.
 * Usage: direct_calls LIBRARY FUNCTION [calls]. */
#define _GNU_SOURCE
#include "../common/measure.h"
#include <dlfcn.h>
#include <fallow.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return fprintf(stderr, "usage: direct_calls LIBRARY FUNCTION [calls]\n"), 2;
	long calls = argc > 3 ? atol(argv[3]) : 10000;
	void *library = dlopen(argv[1], RTLD_NOW);
	int32_t (*function)(const struct fallow_call *) = library ? (int32_t (*)(const struct fallow_call *))dlsym(library, argv[2]) : NULL;
	if (!function)
		return fprintf(stderr, "direct_calls: %s\n", dlerror()), 1;
	char output[64];
	size_t size = 0;
	struct fallow_call call = { .input = "", .input_size = 0, .output = output, .output_capacity = sizeof output, .output_size = &size };
	pin_server();
	double start = now_us();
	for (long n = 0; n < calls; n++)
		function(&call);
	printf("per_second %.1f\n", (double)calls / (now_us() - start) * 1e6);
	return 0;
}
