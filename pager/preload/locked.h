/* locked.h: the allocator's lock. It is given back in a forked child, where nothing is left to be guarded. */
#ifndef FALLOW_PRELOAD_LOCKED_H
#define FALLOW_PRELOAD_LOCKED_H

void preload_lock(void);
void preload_unlock(void);

#endif
