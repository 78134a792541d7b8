/* SPDX-License-Identifier: MIT */
/*
 * page/charge.c - one limit for pages and for the memory of other modules
 *
 * Areas and per-CPU chunks have reservations of their own, but their memory counts against the
 * instance's limit.  A charge is a number of pages that a zone may no longer allocate.
 * zone_available_locked() subtracts it, so charges and allocations compete under the same
 * watermarks.  Charges are spread over the zones, starting with the first that has room; an
 * uncharge takes them from any zone, since a charge names no frame.
 *
 * Cost: one zone lock per call.  Modules charge what they cache, so they call rarely.
 */
#include "page/charge.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "instance/module.h"
#include "instance/shrinker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/limit.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/zone.h"

/* Charges up to @pages to one zone, but not fewer than @least; returns how many. */
static uint64_t charge_zone(struct pages *p, struct zone *zone, uint64_t pages, uint64_t least,
			    unsigned flags)
{
	uint64_t some = 0;
	lock_token token;

	if (!zone_lock_for(zone, flags, &token))
		return 0;
	if (zone_has_room_locked(p, zone, flags, least)) {
		some = zone_available_locked(p, zone) - zone_mark(zone, flags);
		some = some < pages ? some : pages;
		count_add(zone->charged_pages, some);
		zone_raise_high_locked(p, zone, some); /* what pages owe stays owed */
	}
	zone_unlock(zone, token);
	return some;
}

/* For callers that may only try locks.  Charges one zone alone: if a second one refused, the first charge
 * could not be undone without waiting. */
static bool charge_one_zone(struct pages *p, uint64_t pages, unsigned flags)
{
	for (unsigned i = 0; i < p->zones_nr; i++) {
		if (charge_zone(p, &p->zone[i], pages, pages, flags) != 0)
			return true;
	}
	return false;
}

/* A hint: the zones are examined one after the other. */
static bool zones_have_room(struct pages *p, uint64_t pages, unsigned flags)
{
	uint64_t room = 0;

	for (unsigned i = 0; i < p->zones_nr; i++) {
		lock_token token;

		zone_lock_for(&p->zone[i], 0, &token);
		if (zone_has_room_locked(p, &p->zone[i], flags, 0))
			room += zone_available_locked(p, &p->zone[i]) -
				zone_mark(&p->zone[i], flags);
		zone_unlock(&p->zone[i], token);
	}
	return room >= pages;
}

/*
 * Charges all or nothing.  A charge that is undone a moment later could meanwhile make another caller's
 * fail.  So several zones are first asked whether they have room, and the last one charges all that is
 * missing or nothing.
 */
static bool charge_try(struct pages *p, uint64_t pages, unsigned flags)
{
	uint64_t charged = 0;

	if (pages == 0)
		return true;
	if (flags & QUIRE_NOLOCK)
		return charge_one_zone(p, pages, flags);
	if (p->zones_nr > 1 && !zones_have_room(p, pages, flags))
		return false;
	for (unsigned i = 0; i < p->zones_nr && charged < pages; i++) {
		uint64_t left = pages - charged;

		charged +=
			charge_zone(p, &p->zone[i], left, i + 1 == p->zones_nr ? left : 1, flags);
	}
	if (charged == pages)
		return true;
	page_uncharge(&p->q, charged);
	return false;
}

/**
 * page_charge - count pages that are about to have memory outside the page allocator
 * @flags:	QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK, QUIRE_NORETRY as for an allocation
 *
 * Before it refuses it drains every CPU's pages and has all modules give up what they cache.
 * The caller may hold locks of its module, and lock_nested() cannot tell them from locks of an
 * interrupted frame.  So a caller in a handler passes NOLOCK, and with locks held nothing is drained.
 *
 * Returns 0, -ENOMEM, or -EOWNERDEAD (a child whose pages stayed with the parent); then
 * nothing is charged.  Waits unless the flags forbid it.
 */
int page_charge(struct quire *q, uint64_t pages, unsigned flags)
{
	struct pages *p = pages_of(q);

	if (q->dead)
		return -EOWNERDEAD;
	if (lock_nested())
		flags |= QUIRE_NORETRY;
	limit_look(p, pages, flags);
	if (charge_try(p, pages, flags))
		return 0;
	if (flags & (FLAGS_NO_WAIT | QUIRE_NORETRY))
		return -ENOMEM;
	page_take_deferred(p);
	drain_everything(p);
	if (charge_try(p, pages, flags))
		return 0;
	page_make_room(q);
	return charge_try(p, pages, flags) ? 0 : -ENOMEM;
}

void page_make_room(struct quire *q)
{
	struct pages *p = pages_of(q);

	if (q->dead) /* nothing of it may be touched */
		return;
	page_take_deferred(p);
	giveback_wait(p);
	modules_shrink(q);
	drain_disabled(p);
	limit_follow_refused(p); /* it may have been raised */
}

int page_attempt(struct quire *q, size_t bytes, unsigned flags, int (*attempt)(void *arg),
		 void *arg)
{
	struct shrinkers_walk walk = shrinkers_walk_begin(q, bytes);
	int error = attempt(arg);

	if (error != -ENOMEM || q->dead || (flags & (FLAGS_NO_WAIT | QUIRE_NORETRY)))
		return error;
	do {
		page_make_room(q);
		error = attempt(arg);
	} while (error == -ENOMEM && shrinkers_step(q, &walk));
	return error;
}

void page_uncharge(struct quire *q, uint64_t pages)
{
	struct pages *p = pages_of(q);

	for (unsigned i = 0; i < p->zones_nr && pages != 0; i++) {
		struct zone *zone = &p->zone[i];
		uint64_t some;
		lock_token token;

		zone_lock_for(zone, 0, &token);
		some = zone->charged_pages < pages ? zone->charged_pages : pages;
		count_add(zone->charged_pages, 0 - some);
		zone_unlock(zone, token);
		pages -= some;
	}
	CHECK_VALUES(pages == 0, pages, p->zones_nr);
}
