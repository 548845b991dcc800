/* rfaas.c: a function in rFaaS's form. Libraries built for rFaaS load as they are: there is no header to include, and
 * no FALLOW_LIBRARY. Build: cc -shared -fPIC -o rfaas.so rfaas.c
 *
 * Such a function returns the result's size, and is not told how much room there is: lease with an output as large as
 * the largest result. One that writes more ends its executor. For new functions fallow.h's form is the better one. */
#include <stdint.h>

/* Adds the uint32 numbers in the input; the result is one uint64. */
uint32_t add(void *in, uint32_t size, void *out)
{
	const uint32_t *numbers = in;
	uint64_t total = 0;

	for (uint32_t i = 0; i < size / sizeof *numbers; i++)
		total += numbers[i];
	*(uint64_t *)out = total;
	return sizeof total;
}
