/* SPDX-License-Identifier: MIT */
/* percpu_life_sim.c - what becomes of a chunk and its pages: pressure, refusals, runs, the reserve */
#include "sim/percpu/percpu_scene.h"

static void balances(void *arg)
{
	percpu_balance(arg, false);
}

/* Pages of the second chunk that live objects lie in. */
static uint64_t used_pages(const struct percpu_scene *scene)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		struct place place = place_of(scene->pc, scene->object[i]);

		if (place_chunk(scene->pc, place) == 1)
			used |= page_bit(scene->pc, place_page(scene->pc, place));
	}
	return used;
}

static void gives_by_pattern(struct percpu_scene *scene, uint32_t pattern)
{
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		if ((pattern >> i & 1) == 0)
			continue;
		percpu_give(scene, scene->object[i], PAGE_BYTES);
		scene->object[i] = NULL;
	}
}

static void takes_what_is_missing(struct percpu_scene *scene)
{
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		if (scene->object[i] == NULL)
			scene->object[i] = percpu_take(scene, PAGE_BYTES, 0);
}

/* Whatever pattern of used, empty and unpopulated pages there is, the pages that stay are those that
 * objects lie in, and what comes back reads zero (R4). */
static void depopulates_patterns(void *arg)
{
	struct percpu_scene *scene = arg;
	uint32_t pattern = 1;

	for (unsigned i = 0; i < 12; i++) {
		pattern = pattern * 1664525u + 1013904223u;
		gives_by_pattern(scene, pattern >> 8 & 0xfffffeu); /* one stays in each chunk */
		percpu_balance(scene, true);
		if (scene->pc->chunk[1].state != CHUNK_NONE)
			check_u64_eq(scene->pc->chunk[1].populated, used_pages(scene));
		takes_what_is_missing(scene);
	}
}

SIM_TEST(percpu_patterns_go_exactly, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	sim_cpu(sim, 0, depopulates_patterns, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- the reserve ------------------------------------------------------------------------------ */

static void use_up_reserve(struct percpu_scene *scene)
{
	while (scene->pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
}

/* Takes what is left of the limit, whenever some comes back. */
static void hogs(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned tries = 0; tries < 3; tries++)
		for (uint64_t step = 1024; step != 0; step /= 2)
			(void)page_charge(scene->q, step, QUIRE_NORETRY);
}

/* The limit is used up: only the reserve is left. */
static void takes_two_atomic(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_use_up_limit(scene, QUIRE_ATOMIC);
	percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
}

static void balances_for_atomic(void *arg)
{
	balances(arg);
	takes_two_atomic(arg);
}

/* A run of empty pages that was to go stays if they are all there is: what is given back might not
 * be had again (R5). */
SIM_TEST(percpu_last_empty_pages_stay, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 18);
	use_up_reserve(scene);
	hogs(scene);
	sim_cpu(sim, 0, balances_for_atomic, scene);
	sim_cpu(sim, 1, hogs, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(scene->pc->stat.pages_depopulated, 0);
	percpu_scene_check(scene);
}

/* The reserve is not made of pages that are on their way out: a sidelined chunk gets none, and does
 * not get all that it can hold because none of them counts. */
SIM_TEST(percpu_reserve_is_never_isolated, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	for (unsigned i = 0; i < 6; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
	percpu_isolate(scene, 12, 20);
	balances(scene);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_SIDELINED);
	use_up_reserve(scene);
	sim_cpu(sim, 0, balances, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_SIDELINED);
	percpu_scene_check(scene);
	takes_two_atomic(scene);
	check_u64_eq(scene->refused, 0);
	percpu_scene_check(scene);
}

static void takes_atomic_unwaited(void *arg)
{
	struct percpu_scene *scene = arg;

	sim_forbid_wait(true);
	for (unsigned i = 0; i < 6; i++)
		percpu_take(scene, PAGE_BYTES, i % 2 ? QUIRE_ATOMIC : QUIRE_NOWAIT);
	sim_forbid_wait(false);
}

/* A caller that may not wait is served or refused, whatever the worker does. */
SIM_TEST(percpu_atomic_never_waits, .events = SIM_MEMORY | SIM_TRYFAIL)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 20);
	sim_cpu(sim, 0, takes_atomic_unwaited, scene);
	sim_cpu(sim, 1, balances, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- frees ------------------------------------------------------------------------------------ */

static void frees_the_last(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[OBJECTS_NR - 1], PAGE_BYTES);
	for (unsigned i = 0; i < 3; i++) /* more than the first chunk has */
		percpu_take(scene, 4 * PAGE_BYTES, QUIRE_ATOMIC);
}

/* The last object of a chunk is freed while its pages are being returned: no search may find the chunk
 * before it is settled (R2). */
SIM_TEST(percpu_last_free_during_the_flush, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 0, OBJECTS_NR - 1); /* the first chunk has the reserve */
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, frees_the_last, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* A free may isolate a chunk while the worker is leaving: it is told, or comes again. */
static void ticks(void *arg)
{
	struct percpu_scene *scene = arg;

	balance_tick(&scene->pc->module, 1);
}

static void frees_many(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 8; i < 20; i++) {
		percpu_give(scene, scene->object[i], PAGE_BYTES);
		scene->object[i] = NULL;
	}
}

SIM_TEST(percpu_worker_is_told_of_every_chunk)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_balance(scene, false);
	percpu_isolate(scene, 20, 22);
	scene->pc->due_ns = 0; /* it was asked for */
	sim_cpu(sim, 0, ticks, scene);
	sim_cpu(sim, 1, frees_many, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->list[LIST_TO_DEPOPULATE].nr == 0 || scene->pc->due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

/* ---- the age of empty pages ---- */

/* In halves of the decay time. */
static void visits(struct percpu_scene *scene, unsigned halves)
{
	balance_tick(&scene->pc->module, halves * (scene->q->decay_base_ns / 2));
}

static void empties_pages_between_visits(void *arg)
{
	struct percpu_scene *scene = arg;
	const struct percpu_chunk *second = &scene->pc->chunk[1];

	visits(scene, 4);
	visits(scene, 5);
	for (unsigned i = OBJECTS_NR - 4; i < OBJECTS_NR; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
	visits(scene, 6);
	check_u64_eq(second->state, CHUNK_ACTIVE);
	SIM_CHECK(chunk_empty(second) >= 4);
	visits(scene, 8);
	check_u64_eq(second->state, CHUNK_SIDELINED);
	check_u64_eq(chunk_empty(second), 0);
}

SIM_TEST(percpu_empty_pages_stay_for_the_decay_time, .cpus_nr = 1, .enters = { "isolate_old" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	check_u64_eq(chunk_empty(&scene->pc->chunk[0]), EMPTY_HIGH);
	sim_cpu(sim, 0, empties_pages_between_visits, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void visits_often(void *arg)
{
	for (unsigned halves = 4; halves < 12; halves += 2)
		visits(arg, halves);
}

/* However old, if no others are the reserve. */
SIM_TEST(percpu_old_empty_pages_stay_as_the_reserve, .cpus_nr = 1, .enters = { "isolate_old" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	uint64_t populated;

	use_up_reserve(scene);
	for (unsigned i = OBJECTS_NR - 4; i < OBJECTS_NR; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
	populated = scene->pc->chunk[1].populated;
	sim_cpu(sim, 0, visits_often, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_ACTIVE);
	check_u64_eq(scene->pc->chunk[1].populated, populated);
	percpu_scene_check(scene);
}

/* A chunk without empty pages has none that are old. */
SIM_TEST(percpu_full_chunk_stays_active, .cpus_nr = 1, .enters = { "isolate_old" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	check_u64_eq(chunk_empty(&scene->pc->chunk[0]), EMPTY_HIGH);
	check_u64_eq(chunk_empty(&scene->pc->chunk[1]), 0);
	sim_cpu(sim, 0, visits_often, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_ACTIVE);
	percpu_scene_check(scene);
}

static void gives_a_quarter(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = OBJECTS_NR - UNIT_PAGES_MAX / 4; i < OBJECTS_NR; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
}

/* A quarter of a chunk is empty, and no other chunk has a reserve. */
SIM_TEST(percpu_quarter_that_is_the_reserve_stays, .cpus_nr = 1,
	 .enters = { "chunk_after_free_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	use_up_reserve(scene);
	sim_cpu(sim, 0, gives_a_quarter, scene);
	sim_run(sim);
	SIM_CHECK(chunk_empty(&scene->pc->chunk[1]) >= UNIT_PAGES_MAX / 4);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_ACTIVE);
	percpu_scene_check(scene);
}

/* ---- refusals --------------------------------------------------------------------------------- */

static void takes_pages(void *arg)
{
	for (unsigned i = 0; i < 4; i++)
		percpu_take(arg, PAGE_BYTES, 0);
}

/* The system refuses to unback some pages, which keep their content.  They count as populated again, and
 * are cleared before they are allocated. */
SIM_TEST(percpu_refused_gather_keeps_its_pages, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 20);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, takes_pages, scene);
	sim_run(sim);
	takes_pages(scene);
	takes_pages(scene);
	percpu_scene_check(scene);
}

static void frees_pages(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 16; i < 22; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
}

static void shrinks(void *arg)
{
	quire_percpu_shrink(((struct percpu_scene *)arg)->q);
}

/* Only maps beyond all maps in use are returned, also while another CPU takes more. */
SIM_TEST(percpu_trim_leaves_maps_in_use, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	void *more[64];

	for (unsigned i = 0; i < 64; i++)
		more[i] = percpu_take(scene, PAGE_BYTES, 0);
	for (unsigned i = 0; i < 64; i++)
		percpu_give(scene, more[i], PAGE_BYTES);
	sim_cpu(sim, 0, shrinks, scene);
	sim_cpu(sim, 1, takes_pages, scene);
	sim_run(sim);
	percpu_scene_check(scene);
	frees_pages(scene);
	percpu_scene_check(scene);
}

/* ---- variables -------------------------------------------------------------------------------- */

struct variables_scene {
	void *pointer[3];
};

static struct quire_percpu_variable variable_of(struct variables_scene *scene, unsigned i)
{
	static const uint64_t content = 5;

	return (struct quire_percpu_variable){ .struct_bytes = sizeof(struct quire_percpu_variable),
					       .pointer = &scene->pointer[i],
					       .content = &content,
					       .bytes = sizeof(content),
					       .align = sizeof(content) };
}

static void defines_and_undefines(struct variables_scene *scene, unsigned i)
{
	const struct quire_percpu_variable variable = variable_of(scene, i);

	quire_percpu_define(&variable);
	for (unsigned cpu = 0; cpu < quire_percpu_units(quire_default()); cpu++)
		check_u64_eq(*(uint64_t *)quire_per_cpu_ptr(scene->pointer[i], cpu), 5);
	quire_percpu_undefine(&variable);
	SIM_CHECK(scene->pointer[i] == NULL);
}

static void defines_and_undefines_first(void *arg)
{
	defines_and_undefines(arg, 0);
}

static void defines_and_undefines_second(void *arg)
{
	defines_and_undefines(arg, 1);
}

/* Two libraries are loaded and unloaded at once, the first of the process: each variable has a place and a record of its
 * own. */
SIM_TEST(percpu_variables_of_two_libraries, .enters = { "record_add", "quire_percpu_undefine" })
{
	struct variables_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct percpu *pc = percpu_of(quire_default(), 0);

	pc->variables.unloaded_nr = 1; /* not what the machine says: records are looked at */
	sim_cpu(sim, 0, defines_and_undefines_first, scene);
	sim_cpu(sim, 1, defines_and_undefines_second, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(quire_default()), 0);
}

static void takes_the_reserved_area(void *arg)
{
	struct quire *q = arg;

	for (unsigned i = 0; i < RESERVED_BYTES / 1024; i++)
		SIM_CHECK(quire_alloc_reserved_percpu(q, 1024, 0) != NULL);
	SIM_CHECK(quire_alloc_reserved_percpu(q, 1024, 0) == NULL);
	check_u64_eq(process_errno(), ENOSPC);
}

/* What is reserved for libraries ends before the pages of objects. */
SIM_TEST(percpu_reserved_area_has_an_end, .cpus_nr = 1, .enters = { "from_area" })
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .units = 2,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	check_u64_eq(quire_create(&options, &q), 0);
	sim_cpu(sim, 0, takes_the_reserved_area, q);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(q), 0);
}

/* A library went without undefining its variable, so its pointer has another value.  Two others define theirs, find that
 * libraries were unloaded, and look at all records: one of them frees the variable. */
SIM_TEST(percpu_variable_of_an_unloaded_library_is_freed_once,
	 .enters = { "variables_collect", "record_take" })
{
	struct variables_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_percpu_variable before = variable_of(scene, 2);

	quire_percpu_define(&before);
	scene->pointer[2] = NULL;
	quire_default()->percpu->variables.unloaded_nr = 1; /* not what the machine says */
	sim_cpu(sim, 0, defines_and_undefines_first, scene);
	sim_cpu(sim, 1, defines_and_undefines_second, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(quire_default()), 0);
}

/* After libraries are unloaded, a variable in use stays, and one that was already undefined is not freed again. */
SIM_TEST(percpu_variable_in_use_outlives_other_libraries, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "variables_collect", "quire_percpu_undefine" })
{
	struct variables_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_percpu_variable used = variable_of(scene, 2);

	quire_percpu_define(&used);
	defines_and_undefines(scene, 0);
	quire_default()->percpu->variables.unloaded_nr = 1; /* not what the machine says */
	sim_cpu(sim, 0, defines_and_undefines_second, scene);
	sim_run(sim);
	check_u64_eq(quire_percpu_bytes(quire_default(), scene->pointer[2]), sizeof(uint64_t));
	quire_percpu_undefine(&used);
	check_u64_eq(quire_verify(quire_default()), 0);
}

static void loses_another_library(void *arg)
{
	struct percpu *pc = quire_default()->percpu;

	mutex_acquire(&pc->alloc_mutex);
	pc->variables.unloaded_nr = 1; /* not what the machine says */
	mutex_release(&pc->alloc_mutex);
	defines_and_undefines_second(arg);
}

/* A second library is unloaded while another thread looks for variables of the first: threads take turns to look. */
SIM_TEST(percpu_library_unloaded_beside_a_collection, .enters = { "variables_collect" })
{
	struct variables_scene *scene = sim_zalloc(sim, sizeof(*scene));

	percpu_of(quire_default(), 0)->variables.unloaded_nr = 1; /* not what the machine says */
	sim_cpu(sim, 0, defines_and_undefines_first, scene);
	sim_cpu(sim, 1, loses_another_library, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(quire_default()), 0);
}
