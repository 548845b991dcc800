#include "pager.h"

void fallow_guard_enter(struct guard *guard, struct fallow_pager *pager)
{
	guard->pager = pager;
	fallow_signals_block(&guard->signals);
	fallow_lock_take(&pager->lock);
}

void fallow_guard_leave(struct guard *guard)
{
	fallow_lock_give(&guard->pager->lock);
	fallow_signals_restore(&guard->signals);
}

bool fallow_wait_changed(struct fallow_pager *pager, uint64_t deadline_ns)
{
	uint32_t turn = fallow_change_turn(&pager->changed);
	fallow_lock_give(&pager->lock);
	fallow_change_wait(&pager->changed, turn, deadline_ns);
	fallow_lock_take(&pager->lock);
	return fallow_clock_ns() < deadline_ns;
}

uint64_t fallow_wait_deadline(const struct fallow_pager *pager)
{
	return fallow_clock_ns() + (uint64_t)pager->settings.wait_limit_ms * 1000000u;
}

bool fallow_is_child(const struct fallow_pager *pager)
{
	return *(volatile uint32_t *)pager->alive == 0;
}
