/* SPDX-License-Identifier: MIT */
/*
 * instance/relief.c - giving back sooner, and asking the program's caches, before anything is refused
 *
 * The worker looks once in a decay, and at once when there is memory pressure (work.h).  It finds one of these:
 *
 *   what                                          everything free goes back   shrinkers are asked for
 *   memory pressure                               yes                         a 16th of what is held
 *   more is held than a lowered limit permits     yes                         what is still beyond it
 *   less is available than the low mark           no: it can be allocated     as much as fills it up to
 *                                                                             the high mark
 *
 * Free memory goes back first, as by quire_release(), since nobody misses it; then the shrinkers are called,
 * and what they gave up goes back too.  A process under pressure gives up a 16th at a time: the kernel reports
 * pressure at most once in 2 s and does not say how much is short; Linux begins with a 4,096th of each
 * cache and doubles that, many times a second.
 *
 * Pressure is watched once WATCH_BYTES are held, or a shrinker is registered: it costs the process two
 * descriptors.
 */
#include "instance/relief.h"

#include <stdbool.h>

#include <quire/quire.h>

#include "instance/instance.h"
#include "instance/module.h"
#include "instance/shrinker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/work.h"

/* As the limit is learnt from the system: what a smaller instance could give back is not worth it. */
#define WATCH_BYTES    ((uint64_t)16 << 20)
#define PRESSURE_SHARE 16u

static void look(struct quire *q, struct relief *relief)
{
	*relief = (struct relief){ .held_bytes = 0 };
	modules_look(q, relief);
}

/* Looks if it is time.  Returns whether it has. */
static bool look_if_due(struct quire *q, uint64_t now_ns, bool pressed, struct relief *relief)
{
	bool due;

	mutex_acquire(&q->visit_mutex);
	due = pressed || now_ns >= q->relief_due_ns;
	if (due) {
		q->relief_due_ns = now_ns + q->decay_base_ns;
		look(q, relief);
	}
	mutex_release(&q->visit_mutex);
	return due;
}

/* Frees what nobody misses, and looks again. */
static void give_back(struct quire *q, struct relief *relief)
{
	(void)quire_release(q);
	mutex_acquire(&q->visit_mutex);
	look(q, relief);
	mutex_release(&q->visit_mutex);
}

/* The most that one of the reasons asks for. */
static uint64_t wanted_bytes(const struct relief *relief, bool pressed)
{
	uint64_t bytes = pressed ? relief->held_bytes / PRESSURE_SHARE : 0;

	if (bytes < relief->exceeding_bytes)
		bytes = relief->exceeding_bytes;
	return bytes < relief->lacking_bytes ? relief->lacking_bytes : bytes;
}

void relief_run(struct quire *q, uint64_t now_ns)
{
	bool pressed = work_take_pressure(&q->work), short_of;
	struct relief relief;

	if (!look_if_due(q, now_ns, pressed, &relief))
		return;
	if (relief.held_bytes >= WATCH_BYTES || load_relaxed(&q->shrinkers->nr) != 0) /* a hint */
		work_watch_pressure(&q->work);
	short_of = pressed || relief.exceeding_bytes != 0;
	if (short_of)
		give_back(q, &relief);
	if (shrinkers_relieve(q, (size_t)wanted_bytes(&relief, pressed)) != 0 && short_of)
		(void)quire_release(q);
}
