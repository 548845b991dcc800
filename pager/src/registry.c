/* registry.c: all regions of the process, found by address without a lock, since signal handlers look here. */
#include <errno.h>
#include <sched.h>
#include <stddef.h>

#include "pager.h"

enum { REGIONS_MAX = 1024 };

/* A place is never freed. `users` counts who looks at the region just now; it is emptied before it may vanish. */
static struct place {
	_Atomic(struct fallow_region *) region;
	_Atomic uintptr_t start, end;
	_Atomic uint32_t users;
} places[REGIONS_MAX];
static _Atomic int places_used; /* beyond this there never was one */
static struct fallow_lock registry_lock;

int fallow_registry_add(struct fallow_region *region)
{
	int error = ENOSPC;
	fallow_lock_take(&registry_lock);
	for (int i = 0; i < REGIONS_MAX && error != 0; i++) {
		struct place *place = &places[i];
		if (atomic_load(&place->region) != NULL || atomic_load(&place->users) != 0)
			continue;
		atomic_store(&place->start, (uintptr_t)region->address);
		atomic_store(&place->end, (uintptr_t)region->address + region->size);
		atomic_store(&place->region, region);
		if (i >= atomic_load(&places_used))
			atomic_store(&places_used, i + 1);
		error = 0;
	}
	fallow_lock_give(&registry_lock);
	return error;
}

bool fallow_registry_remove(struct fallow_region *region, uint64_t deadline_ns)
{
	for (int i = 0; i < atomic_load(&places_used); i++) {
		struct place *place = &places[i];
		uintptr_t start = (uintptr_t)region->address;
		if (atomic_load(&place->region) == region)
			atomic_store(&place->region, NULL);
		else if (atomic_load(&place->region) != NULL || atomic_load(&place->start) != start)
			continue;
		while (atomic_load(&place->users) != 0) {
			if (fallow_clock_ns() >= deadline_ns)
				return false;
			sched_yield();
		}
	}
	return true;
}

struct fallow_region *fallow_registry_hold(const void *address, int *ticket)
{
	uintptr_t wanted = (uintptr_t)address;
	int used = atomic_load(&places_used);
	for (int i = 0; i < used; i++) {
		struct place *place = &places[i];
		if (wanted < atomic_load(&place->start) || wanted >= atomic_load(&place->end))
			continue;
		atomic_fetch_add(&place->users, 1);
		struct fallow_region *region = atomic_load(&place->region);
		/* The place may have been given to another meanwhile: only now it cannot. */
		if (region != NULL && wanted >= atomic_load(&place->start) && wanted < atomic_load(&place->end)) {
			*ticket = i;
			return region;
		}
		atomic_fetch_sub(&place->users, 1);
	}
	*ticket = -1;
	return NULL;
}

void fallow_registry_release(int ticket)
{
	if (ticket >= 0)
		atomic_fetch_sub(&places[ticket].users, 1);
}

struct fallow_region *fallow_region_at(const void *address)
{
	int ticket;
	struct fallow_region *region = fallow_registry_hold(address, &ticket);
	fallow_registry_release(ticket);
	return region;
}
