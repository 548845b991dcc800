/* Functions of rFaaS's ABI: no header, no marker. */
#include <stdint.h>
#include <string.h>

uint32_t echo(void *in, uint32_t size, void *out)
{
	memcpy(out, in, size);
	return size;
}

uint32_t sum(void *in, uint32_t size, void *out)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < size; i++)
		total += ((uint8_t *)in)[i];
	memcpy(out, &total, sizeof total);
	return sizeof total;
}

/* Says that it wrote as many bytes as the input's uint32 names. */
uint32_t claims(void *in, uint32_t size, void *out)
{
	uint32_t claimed = 0;

	(void)out;
	if (size == sizeof claimed)
		memcpy(&claimed, in, sizeof claimed);
	return claimed;
}
