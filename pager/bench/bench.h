/* bench.h: what the rows share. */
#ifndef FALLOW_BENCH_H
#define FALLOW_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "fallow_pager.h"

/* The median of an odd number of values; sorts them. */
double median(double *values, size_t count);
double now_us(void);
double cpu_us(void); /* of all threads of this process */

/* One row: printed, and kept for the file. floor, peer and target are 0 where there are none; `met` as the row defines it,
 * and of no meaning without a target. */
void row(const char *name, double value, const char *unit, double floor, double peer, double target, int met);

/* A memory file filled with bytes that are not zero, sealed against growing, and a pager over it. */
int filled_file(size_t size);
struct pager_over {
	struct fallow_pager *pager;
	struct fallow_region *region;
	struct fallow_source source;
	volatile uint64_t *words;
};
void open_over(struct pager_over *over, int file, size_t size, size_t cap, uint32_t block, enum fallow_pager_mode mode);
void close_over(struct pager_over *over);

/* The rows. */
void fault_rows(void);
void scan_rows(void);
void eviction_rows(void);
void policy_rows(void);

#endif
