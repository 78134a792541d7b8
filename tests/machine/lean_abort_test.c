/* SPDX-License-Identifier: MIT */
/*
 * lean_abort_test.c - every lean sequence, aborted at every instruction
 *
 * The method is rseq_abort_test.c's: a child runs one sequence under ptrace, the parent makes the kernel abort it at
 * the instruction wanted, in one half of the runs changes the stack meanwhile, and compares the outcome with a model.
 */
#include "quire_test.h"

#include <sys/mman.h>

#include "machine/lean.h"
#include "tracer.h"

#if STACK_SEQUENCES

#define CLASS	  2u
#define SENTINEL  LEAN_CLASSES_NR
#define ROOM	  32u
#define COUNT_MAX 8u
#define STEPS_MAX 200u

enum operation {
	POP,
	PUSH,
	PUSH_AGAIN, /* what is the newest entry already */
	POP_N,
	PUSH_N,
	REPLACE,
	OPERATIONS_NR,
};

static const char *const operation_names[OPERATIONS_NR] = { "pop",   "push",   "push_again",
							    "pop_n", "push_n", "replace" };

/* The model: what a sequence returns, and the stack. */
struct outcome {
	uint64_t returned;
	uint64_t given[COUNT_MAX]; /* pop_n */
	uint32_t held_nr, high;
	uint64_t held[ROOM + 1];
};

struct run {
	enum operation operation;
	uint32_t held_nr;  /* entries on the stack at first */
	unsigned stop_idx; /* which instruction, counted as they run */
	bool is_changed;   /* the stack is changed at the abort */
};

#define COUNT 3u /* of pop_n and push_n */

/* Shared with the child. */
static struct {
	struct lean_stacks s;
	uint64_t returned;
	void *entries[COUNT_MAX];
	char regions[64 * LEAN_STRIDE] __attribute__((aligned(64)));
} * shared;

static unsigned slot; /* of the child, which is pinned */

static struct lean_header *header(void)
{
	return lean_header(&shared->s, slot, CLASS);
}

static void *nth_given(uintptr_t i)
{
	return (void *)(7000 + i);
}

/* ---- the model ---- */

static uint64_t model_pop(struct outcome *model)
{
	return model->held_nr == 0 ? 0 : model->held[--model->held_nr];
}

static bool model_push(struct outcome *model, void *entry)
{
	if (model->held_nr >= model->high)
		return false;
	if (model->held_nr != 0 && model->held[model->held_nr - 1] == (uintptr_t)entry)
		return false;
	model->held[model->held_nr++] = (uintptr_t)entry;
	return true;
}

static void model_run(const struct run *run, struct outcome *model)
{
	model->returned = 0;
	switch (run->operation) {
	case POP:
		model->returned = model_pop(model);
		break;
	case PUSH:
	case PUSH_AGAIN:
		model->returned = model_push(model, shared->entries[0]);
		break;
	case POP_N:
		while (model->returned < COUNT && model->held_nr != 0)
			model->given[model->returned++] = model_pop(model);
		break;
	case PUSH_N:
		while (model->returned < COUNT && model_push(model, nth_given(model->returned)))
			model->returned++;
		break;
	default: /* from empty to a place above that keeps one less */
		model->returned = model->held_nr == 0 && model->high == ROOM;
		if (model->returned)
			model->high = ROOM - 1;
	}
}

/* ---- the child ---- */

static __attribute__((noinline)) uint64_t do_pop(void)
{
	return (uintptr_t)lean_pop(&shared->s, CLASS);
}

static __attribute__((noinline)) uint64_t do_push(void)
{
	return lean_push(&shared->s, CLASS, shared->entries[0]);
}

static __attribute__((noinline)) uint64_t do_pop_n(void)
{
	return lean_pop_n(&shared->s, CLASS, shared->entries, COUNT);
}

static __attribute__((noinline)) uint64_t do_push_n(void)
{
	return lean_push_n(&shared->s, CLASS, shared->entries, COUNT);
}

static __attribute__((noinline)) uint64_t do_replace(void)
{
	const struct lean_header empty = { .top = SENTINEL, .high = SENTINEL + ROOM };
	const struct lean_header less = { .top = SENTINEL, .high = SENTINEL + ROOM - 1 };

	return lean_replace(&shared->s, slot, CLASS, empty, less);
}

static void child_main(const void *arg)
{
	static uint64_t (*const operations[OPERATIONS_NR])(
		void) = { do_pop, do_push, do_push, do_pop_n, do_push_n, do_replace };
	const struct run *run = arg;

	shared->returned = operations[run->operation]();
}

/* ---- the parent ---- */

static const struct rseq_cs *sections[OPERATIONS_NR];

/* What another thread of the CPU has done meanwhile: pushed one, or popped one if it was full. */
static void change_stack(struct outcome *model)
{
	if (model_push(model, nth_given(500)))
		lean_words(&shared->s, slot)[SENTINEL + model->held_nr] = nth_given(500);
	else
		(void)model_pop(model);
	header()->top = SENTINEL + model->held_nr;
}

static void prepare(const struct run *run, struct outcome *model)
{
	void **words = lean_words(&shared->s, slot);

	*model = (struct outcome){ .held_nr = run->held_nr, .high = ROOM };
	memset(words, 0, (SENTINEL + ROOM + 2) * sizeof(*words));
	*header() = (struct lean_header){ .top = SENTINEL + run->held_nr, .high = SENTINEL + ROOM };
	for (uint32_t i = 0; i < run->held_nr; i++) {
		model->held[i] = 100 + i;
		words[SENTINEL + 1 + i] = (void *)(uintptr_t)model->held[i];
	}
	for (uint32_t i = 0; i < COUNT_MAX; i++)
		shared->entries[i] = run->operation == POP_N ? NULL : nth_given(i);
	if (run->operation == PUSH_AGAIN && run->held_nr != 0)
		shared->entries[0] = (void *)(uintptr_t)model->held[run->held_nr - 1];
	shared->returned = 0xdead;
}

static void compare_with(const struct run *run, const struct outcome *model)
{
	void *const *words = lean_words(&shared->s, slot);

	assert_u64_eq(shared->returned, model->returned);
	assert_u64_eq(header()->top, SENTINEL + model->held_nr);
	assert_u64_eq(header()->high, SENTINEL + model->high);
	assert_null(words[SENTINEL]);
	for (uint32_t i = 0; i < model->held_nr; i++)
		assert_u64_eq((uintptr_t)words[SENTINEL + 1 + i], model->held[i]);
	for (uint32_t i = 0; run->operation == POP_N && i < model->returned; i++)
		assert_u64_eq((uintptr_t)shared->entries[i], model->given[i]);
}

/* One child, stopped once.  Returns whether the stop lay inside the section. */
static bool run_once(const struct run *run, struct tracer *tracer)
{
	struct outcome model;
	bool is_stopped_inside;

	prepare(run, &model);
	tracer_start(tracer, child_main, run);
	tracer_break_at(tracer, tracer->section->start_ip);
	assert_true(tracer_run_to_break(tracer));
	tracer_set_rseq_cs(tracer, 0);
	is_stopped_inside = tracer_step(tracer, run->stop_idx);
	tracer_set_rseq_cs(tracer, (uint64_t)tracer->section);
	tracer_break_at(tracer, tracer->section->abort_ip);
	assert_int_equal(tracer_run_to_break(tracer), is_stopped_inside);
	if (is_stopped_inside) {
		assert_u64_eq(header()->top,
			      SENTINEL + model.held_nr); /* nothing has happened yet */
		if (run->is_changed)
			change_stack(&model);
		tracer->aborts_nr++;
		tracer_finish_after_abort(tracer);
	}
	model_run(run, &model);
	compare_with(run, &model);
	return is_stopped_inside;
}

/* Aborts at every instruction in turn; gives how many there were. */
static unsigned run_at_every_instruction(struct run run)
{
	struct tracer tracer = { .section = sections[run.operation],
				 .rseq_offset = shared->s.rseq_offset };

	for (run.stop_idx = 0; run.stop_idx < STEPS_MAX; run.stop_idx++)
		if (!run_once(&run, &tracer))
			break;
	assert_true(run.stop_idx < STEPS_MAX);
	assert_u64_eq(tracer.aborts_nr, run.stop_idx);
	return tracer.aborts_nr;
}

/* Which descriptor belongs to which function: the one whose first instruction the child meets. */
static void find_section(enum operation operation)
{
	const struct run run = { .operation = operation, .held_nr = 4 };

	for (const struct rseq_cs *cs = __start___rseq_cs; cs < __stop___rseq_cs; cs++) {
		struct tracer tracer = { .section = cs, .rseq_offset = shared->s.rseq_offset };
		struct outcome model;

		prepare(&run, &model);
		tracer_start(&tracer, child_main, &run);
		tracer_break_at(&tracer, cs->start_ip);
		if (tracer_run_to_break(&tracer)) {
			sections[operation] = cs;
			tracer_continue(&tracer);
			assert_int_equal(tracer_wait(&tracer), -1);
		}
	}
	assert_non_null(sections[operation]);
}

/*
 * A sequence begins on a closed set, behind the closer's fence, so nothing aborts it.  At the instruction wanted the
 * closer empties the stack but for one entry and opens.  Then the sequence either has been refused, or works on what
 * it finds now.
 */
static bool run_on_closed(const struct run *run, struct tracer *tracer)
{
	struct outcome model;
	bool is_stopped_inside;

	prepare(run, &model);
	shared->s.slots_nr = 0;
	tracer_start(tracer, child_main, run);
	tracer_break_at(tracer, tracer->section->start_ip);
	assert_true(tracer_run_to_break(tracer));
	tracer_set_rseq_cs(tracer, 0);
	is_stopped_inside = tracer_step(tracer, run->stop_idx);
	model.held_nr = 1;
	header()->top = SENTINEL + 1;
	shared->s.slots_nr = shared->s.slots_open;
	tracer_continue(tracer);
	assert_int_equal(tracer_wait(tracer), -1);
	if (shared->returned == 0) {
		assert_u64_eq(header()->top, SENTINEL + 1);
	} else {
		model_run(run, &model);
		compare_with(run, &model);
	}
	return is_stopped_inside;
}

static void sequence_begun_on_a_closed_set_never_mixes_old_and_new(void **state)
{
	unsigned points_nr = 0;

	(void)state;
	if (shared->s.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	for (enum operation operation = POP; operation < REPLACE; operation++) {
		struct run run = { .operation = operation, .held_nr = 9 };
		struct tracer tracer;

		find_section(operation);
		tracer = (struct tracer){ .section = sections[operation],
					  .rseq_offset = shared->s.rseq_offset };
		for (run.stop_idx = 0; run.stop_idx < STEPS_MAX; run.stop_idx++) {
			points_nr++;
			if (!run_on_closed(&run, &tracer))
				break;
		}
	}
	printf("[          ] opened at %u points\n", points_nr);
	assert_true(points_nr >= 4 * 3);
}

/* All shapes of one operation: empty, with entries, full, fewer and more than are there. */
static void run_all(enum operation operation)
{
	static const uint32_t held[] = { 0, 1, 5, ROOM - 2, ROOM };
	unsigned points_nr = 0, longest = 0;

	if (shared->s.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	find_section(operation);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		for (unsigned changed = 0; changed < 2; changed++) {
			unsigned points = run_at_every_instruction(
				(struct run){ .operation = operation,
					      .held_nr = held[i],
					      .is_changed = changed != 0 });

			points_nr += points;
			longest = points > longest ? points : longest;
		}
	}
	printf("[          ] %s: aborted at %u points, %u in the longest run\n",
	       operation_names[operation], points_nr, longest);
	assert_true(longest >= 8); /* the slot's five, and three at least */
}

static void pop_has_its_effect_once_wherever_it_is_aborted(void **state)
{
	(void)state;
	run_all(POP);
}

static void push_has_its_effect_once_wherever_it_is_aborted(void **state)
{
	(void)state;
	run_all(PUSH);
}

static void push_of_the_newest_entry_is_refused_wherever_it_is_aborted(void **state)
{
	(void)state;
	run_all(PUSH_AGAIN);
}

static void pop_n_has_its_effect_once_wherever_it_is_aborted(void **state)
{
	(void)state;
	run_all(POP_N);
}

static void push_n_has_its_effect_once_wherever_it_is_aborted(void **state)
{
	(void)state;
	run_all(PUSH_N);
}

static void replace_has_its_effect_once_wherever_it_is_aborted(void **state)
{
	(void)state;
	run_all(REPLACE);
}

static int make_shared(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	lean_setup(&shared->s, 0, false, true);
	shared->s.base = shared->regions;
	slot = (unsigned)allowed_cpu_next(0);
	return slot < 64 && pin_to_cpu(slot) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pop_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(push_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(push_of_the_newest_entry_is_refused_wherever_it_is_aborted),
		cmocka_unit_test(pop_n_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(push_n_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(replace_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(sequence_begun_on_a_closed_set_never_mixes_old_and_new),
	};

	return cmocka_run_group_tests_name("lean_abort", tests, make_shared, NULL);
}

#else

static void there_are_no_sequences_in_this_build(void **state)
{
	(void)state;
	skip_because("this build has no per-CPU sequences");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_no_sequences_in_this_build),
	};

	return cmocka_run_group_tests_name("lean_abort", tests, NULL, NULL);
}

#endif
