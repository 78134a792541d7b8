/* SPDX-License-Identifier: MIT */
/*
 * page/limit.c - the limit of an instance that was given none
 *
 * It is what the machine says (mem_limit_read()): the least of its memory, the limits of the process's
 * memory cgroups, and half of RLIMIT_AS.  The machine's memory is one call; the rest stands in files, some
 * twenty calls.  A program of less than LEARN_BYTES is taken to be far from any limit.  So an instance
 * begins with the machine's memory, and learns the limit before it exceeds LEARN_BYTES, and when somebody
 * asks for it.
 *
 * Following.  The limit may change while the program runs.  From then on it is read again
 *
 *   by whom                      at most once in
 *   the worker, when it looks    a second
 *   statistics                   a second
 *   an allocation that would     10 ms
 *     otherwise be refused
 *
 * A program that is refused all the time so spends at most one hundredth of it on reading.  Nobody reads on
 * the way to an allocation that succeeds, but for the first time, where it may wait: a caller that may not
 * leaves that to the next one that may, and to the worker.
 *
 * Setting.  Each zone's limit is set under its lock: not below what is in use, cached pages included, and
 * not above what was reserved, which is the machine's memory or what addresses there were for.  Where more
 * is in use than the system permits, that is set again whenever the worker looks, so what is freed is not taken
 * again, and memory that is only kept is given back at once (instance/relief.c).
 *
 * Readers wait for each other under limit_mutex, and the second one finds the limit fresh: so no older answer
 * replaces a newer one, no caller goes on before the zones have the limit that another has just read, and
 * none is refused because another is reading.  A caller that holds a lock (a signal handler, a module that
 * charges under its own) reads nothing, and the next one does.
 */
#include "page/limit.h"

#include <quire/page.h>

#include "instance/relief.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "page/stat.h"
#include "page/zone.h"

/* A tenth of a millisecond of reading, against 4,096 first touches of 1 us. */
#define LEARN_BYTES    ((uint64_t)16 << 20)
#define AGE_NS	       UINT64_C(1000000000)
#define AGE_REFUSED_NS UINT64_C(10000000)

void limit_init(struct pages *p, bool given)
{
	p->limit_known = given;
	p->limit_source = given ? MEM_LIMIT_GIVEN : MEM_LIMIT_MACHINE;
	p->limit_told_pages = p->q.limit_pages;
	p->learn_pages = LEARN_BYTES >> p->page_shift;
	p->q.cpus_bound = p->q.cpus.all_slots_nr;
	p->q.cpus_source = CPUS_POSSIBLE;
	mutex_init(&p->limit_mutex, RANK_LIMIT);
}

/* Under limit_mutex. */
static void set_zones(struct pages *p, uint64_t limit_pages)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < p->zones_nr; i++)
		sum += zone_set_limit(p, &p->zone[i],
				      limit_pages / p->zones_nr + (i < limit_pages % p->zones_nr));
	if (sum > load_relaxed(&p->q.limit_pages))
		fetch_add_acq_rel(&p->limit_raises, UINT32_C(1)); /* after the zones' */
	store_relaxed(&p->q.limit_pages, sum);			  /* read as a hint */
}

/* Hints outside limit_mutex: both may change here and now, and then whoever changes them sets the zones. */
static bool is_above_told(const struct pages *p)
{
	return load_relaxed(&p->q.limit_pages) > load_relaxed(&p->limit_told_pages);
}

/* Under limit_mutex.  What cannot be found out stays as it was.  The time is the one before: what is read
 * may be older than what others did meanwhile. */
static void read_again(struct pages *p)
{
	uint64_t now_ns = clock_now_ns(), told_pages = load_relaxed(&p->limit_told_pages);
	struct mem_limit limit = mem_limit_read();

	if (limit.bytes != 0) {
		store_relaxed(&p->limit_source, (uint32_t)limit.source);
		store_relaxed(&p->limit_told_pages, limit.bytes >> p->page_shift);
	}
	/* With the same answer, or that of the beginning, the zones have it, and their locks are left alone. */
	if (told_pages != load_relaxed(&p->limit_told_pages) || is_above_told(p))
		set_zones(p, load_relaxed(&p->limit_told_pages));
	store_relaxed(&p->limit_read_ns, now_ns); /* read as a hint */
	store_release(&p->limit_known, true);	  /* after the zones': with limit_look() */
}

/* Pairs with the store in read_again(): a hint outside limit_mutex. */
static bool is_fresh(const struct pages *p, uint64_t age_ns)
{
	uint64_t read_ns = load_relaxed(&p->limit_read_ns);

	return read_ns != 0 && clock_now_ns() - read_ns < age_ns;
}

static bool is_given(const struct pages *p)
{
	return load_relaxed(&p->limit_source) == MEM_LIMIT_GIVEN; /* never changes to or from it */
}

static void read_if_older(struct pages *p, uint64_t age_ns)
{
	if (is_given(p) || is_fresh(p, age_ns))
		return;
	mutex_acquire(&p->limit_mutex);
	if (!is_fresh(p, age_ns))
		read_again(p);
	mutex_release(&p->limit_mutex);
}

void limit_learn(struct pages *p)
{
	read_if_older(p, AGE_NS);
}

static bool matters(const struct pages *p, uint64_t more)
{
	/* Hints: what grows at once elsewhere looks by itself. */
	for (unsigned i = 0; i < p->zones_nr; i++)
		more += load_relaxed(&p->zone[i].online_pages) +
			load_relaxed(&p->zone[i].charged_pages);
	return more > p->learn_pages;
}

void limit_learn_before(struct pages *p, uint64_t more, unsigned flags)
{
	if ((flags & FLAGS_NO_WAIT) == 0 && !lock_nested() && matters(p, more))
		limit_learn(p);
}

static void follow(struct pages *p)
{
	if (is_given(p))
		return;
	/* A hint: what follows looks under limit_mutex. */
	if (!load_relaxed(&p->limit_known) && !matters(p, 0))
		return;
	read_if_older(p, AGE_NS);
	if (!is_above_told(p))
		return;
	mutex_acquire(&p->limit_mutex);
	set_zones(p, load_relaxed(&p->limit_told_pages));
	mutex_release(&p->limit_mutex);
}

void limit_count_cpus(struct pages *p)
{
	uint64_t now_ns = clock_now_ns();
	struct process_cpus cpus;

	if (now_ns - p->cpus_read_ns < AGE_NS) /* if never, the clock has run for longer */
		return;
	p->cpus_read_ns = now_ns;
	cpus = process_cpus_read();
	if (cpus.nr > p->q.cpus.all_slots_nr)
		cpus = (struct process_cpus){ p->q.cpus.all_slots_nr, CPUS_POSSIBLE };
	store_relaxed(&p->q.cpus_source, (uint32_t)cpus.source); /* read as hints */
	store_relaxed(&p->q.cpus_bound, cpus.nr);
}

/* What the zones have together. */
struct room {
	uint64_t available_pages, low_pages, high_pages;
};

/* Pages that are in the buddy and read zero have no memory. */
static uint64_t look_at_zone(struct pages *p, struct zone *zone, struct room *room)
{
	uint64_t held_pages;
	lock_token token;

	zone_lock_for(zone, 0, &token);
	room->available_pages += zone_available_locked(p, zone);
	room->low_pages += zone->mark_low;
	room->high_pages += zone->mark_high;
	held_pages = zone->online_pages - zone->zero_pages + zone->charged_pages;
	zone_unlock(zone, token);
	return held_pages;
}

static uint64_t cached_pages(struct pages *p)
{
	struct quire_page_stat stat;

	page_stat_collect(p, &stat);
	return stat.cached_pages;
}

/* As in Linux, below the low mark it is filled up to the high one.  What CPUs keep is available too: a drain
 * comes before a refusal. */
void limit_look_for_relief(struct pages *p, struct relief *relief)
{
	struct room room = { .available_pages = 0 };
	uint64_t held_pages = 0, told_pages;

	follow(p);
	for (unsigned i = 0; i < p->zones_nr; i++)
		held_pages += look_at_zone(p, &p->zone[i], &room);
	if (held_pages > p->learn_pages)
		limit_count_cpus(p);
	told_pages = load_relaxed(&p->limit_told_pages); /* a hint */
	relief->held_bytes += held_pages << p->page_shift;
	if (room.available_pages < room.low_pages) /* else nobody need look at every CPU */
		room.available_pages += cached_pages(p);
	if (room.available_pages < room.low_pages)
		relief->lacking_bytes += (room.high_pages - room.available_pages) << p->page_shift;
	if (held_pages > told_pages)
		relief->exceeding_bytes += (held_pages - told_pages) << p->page_shift;
}

void limit_follow_refused(struct pages *p)
{
	/* A hint, as in follow(). */
	if (!lock_nested() && load_relaxed(&p->limit_known))
		read_if_older(p, AGE_REFUSED_NS);
}
