/* SPDX-License-Identifier: MIT */
/*
 * rseq_abort_test.c - every sequence, aborted at every instruction
 *
 * Goal     However far a sequence has come, an abort takes it back to its beginning and it has its
 *          effect exactly once, on the stack as it is then.
 * Method   A child runs one sequence under ptrace.  The parent stops it at the first instruction
 *          of the section and clears the child's rseq_cs; without that, each single step would
 *          abort, since stopping a thread is a preemption.  So it steps to the instruction
 *          wanted, puts rseq_cs back and lets the child go: the kernel sees a preempted thread
 *          inside a section and must send it to the abort label, where a breakpoint proves that
 *          it came.  There, in one half of the runs, the parent changes the stack, as another
 *          thread of the slot might have done.  Then the child runs to its end, and what it has
 *          returned and left behind is compared with a model in C.
 *          Loops are stepped through turn by turn, so that instructions count as often as they run.
 *          One stop more lies behind the commit: there nothing may be aborted.
 * Output   the number of abort points for each sequence; one without any is a failure.
 */
#include "quire_test.h"

#include <sys/mman.h>

#include "base/check.h"
#include "machine/stack.h"
#include "tracer.h"

#if STACK_SEQUENCES

#define CLASS	   2u
#define LOW	   512u
#define HIGH	   (LOW + 32u)
#define COUNT_MAX  8u
#define STEPS_MAX  200u
#define GUARD_BYTE 7

enum operation {
	POP,
	PUSH,
	POP_N,
	PUSH_N,
	OPERATIONS_NR,
};

static const char *const operation_names[OPERATIONS_NR] = { "pop", "push", "pop_n", "push_n" };

/* The model: what a sequence returns, and the stack. */
struct outcome {
	uint32_t returned;
	uint32_t given[COUNT_MAX]; /* pop_n */
	uint32_t top;
	uint32_t held[HIGH - LOW]; /* below top */
};

/* One run: what is done, to which stack, and when it is aborted. */
struct run {
	enum operation operation;
	uint32_t held_nr;  /* entries in the stack at first */
	uint32_t count;	   /* for pop_n and push_n */
	uint32_t expected; /* the guard byte that push expects */
	unsigned stop_idx; /* which instruction, counted as they run */
	bool is_changed;   /* the stack is changed at the abort */
};

/* Shared with the child. */
static struct {
	struct cpu_stacks s;
	uint8_t guard;
	uint32_t returned;
	uint32_t entries[COUNT_MAX];
	char region[STACKS_STRIDE * 64] __attribute__((aligned(64)));
} * shared;

static unsigned slot; /* of the child, which is pinned */

static uint32_t *top_word(void)
{
	return &stack_header(&shared->s, slot, CLASS)->top;
}

/* --- the model --- */

static uint32_t model_pop(struct outcome *model)
{
	return model->top == LOW ? STACK_NONE : model->held[--model->top - LOW];
}

static bool model_push(struct outcome *model, uint32_t entry)
{
	if (model->top == HIGH)
		return false;
	model->held[model->top++ - LOW] = entry;
	return true;
}

static void model_pop_n(struct outcome *model, uint32_t count)
{
	uint32_t held_nr = model->top - LOW;

	model->returned = count < held_nr ? count : held_nr;
	model->top -= model->returned;
	memcpy(model->given, &model->held[model->top - LOW],
	       model->returned * sizeof(model->given[0]));
}

static void model_push_n(struct outcome *model, const uint32_t *entries, uint32_t count)
{
	for (uint32_t i = 0; i < count && model_push(model, entries[i]); i++)
		model->returned++;
}

static uint32_t nth_given(uint32_t i)
{
	return 7000 + i;
}

static void model_run(const struct run *run, struct outcome *model)
{
	uint32_t entries[COUNT_MAX];

	for (uint32_t i = 0; i < COUNT_MAX; i++)
		entries[i] = nth_given(i);
	model->returned = 0;
	if (run->operation == POP)
		model->returned = model_pop(model);
	else if (run->operation == PUSH)
		model->returned = run->expected == GUARD_BYTE && model_push(model, entries[0]);
	else if (run->operation == POP_N)
		model_pop_n(model, run->count);
	else
		model_push_n(model, entries, run->count);
}

/* --- the child --- */

/* Not inline: the registers of the caller are as in any use, and the section exists once. */
static __attribute__((noinline)) uint32_t do_pop(void)
{
	return stack_pop(&shared->s, CLASS);
}

static __attribute__((noinline)) uint32_t do_push(const struct run *run)
{
	return stack_push(&shared->s, CLASS, nth_given(0), &shared->guard, (uint8_t)run->expected);
}

static __attribute__((noinline)) uint32_t do_pop_n(const struct run *run)
{
	return stack_pop_n(&shared->s, CLASS, shared->entries, run->count);
}

static __attribute__((noinline)) uint32_t do_push_n(const struct run *run)
{
	return stack_push_n(&shared->s, CLASS, shared->entries, run->count);
}

static uint32_t do_run(const struct run *run)
{
	switch (run->operation) {
	case POP:
		return do_pop();
	case PUSH:
		return do_push(run);
	case POP_N:
		return do_pop_n(run);
	default:
		return do_push_n(run);
	}
}

static void child_main(const void *arg)
{
	shared->returned = do_run(arg);
}

/* --- the parent --- */

/* The section that this operation's function is made of: each is tried until the child meets it. */
static const struct rseq_cs *sections[OPERATIONS_NR];

/* What another thread of the slot has done meanwhile: pushed one, or popped one if it was full. */
static void change_stack(struct outcome *model)
{
	uint32_t *entries = stack_entries(&shared->s, slot);

	if (!model_push(model, 4242))
		(void)model_pop(model);
	else
		entries[model->top - 1] = 4242;
	*top_word() = model->top;
}

static void stack_prepare(const struct run *run)
{
	struct stack_header *header = stack_header(&shared->s, slot, CLASS);
	uint32_t *entries = stack_entries(&shared->s, slot);

	memset(shared->region, 0, sizeof(shared->region));
	*header = (struct stack_header){ .top = LOW + run->held_nr, .low = LOW, .high = HIGH };
	for (uint32_t i = 0; i < run->held_nr; i++)
		entries[LOW + i] = 100 + i;
	for (uint32_t i = 0; i < COUNT_MAX; i++)
		shared->entries[i] = run->operation == PUSH_N ? nth_given(i) : 0;
	shared->guard = GUARD_BYTE;
	shared->returned = 0xdead;
}

/* The model of what stack_prepare() has made. */
static void model_prepare(const struct run *run, struct outcome *model)
{
	*model = (struct outcome){ .top = LOW + run->held_nr };
	for (uint32_t i = 0; i < run->held_nr; i++)
		model->held[i] = 100 + i;
}

static void compare_with(const struct run *run, const struct outcome *model)
{
	const uint32_t *entries = stack_entries(&shared->s, slot);

	assert_u64_eq(shared->returned, model->returned);
	assert_u64_eq(*top_word(), model->top);
	for (uint32_t i = LOW; i < model->top; i++)
		assert_u64_eq(entries[i], model->held[i - LOW]);
	for (uint32_t i = 0; run->operation == POP_N && i < model->returned; i++)
		assert_u64_eq(shared->entries[i], model->given[i]);
}

/*
 * One child, stopped once.  Returns whether the stop lay inside the section, so that the caller
 * goes on to the next instruction.
 */
static bool run_once(const struct run *run, struct tracer *tracer)
{
	struct outcome model;
	bool is_stopped_inside;

	stack_prepare(run);
	model_prepare(run, &model);
	tracer_start(tracer, child_main, run);
	tracer_break_at(tracer, tracer->section->start_ip);
	assert_true(tracer_run_to_break(tracer));
	tracer_set_rseq_cs(tracer, 0);
	is_stopped_inside = tracer_step(tracer, run->stop_idx);
	tracer_set_rseq_cs(tracer, (uint64_t)tracer->section);
	tracer_break_at(tracer, tracer->section->abort_ip);
	/* Inside it must come to the abort label; behind the commit it must not, and ends. */
	assert_int_equal(tracer_run_to_break(tracer), is_stopped_inside);
	if (is_stopped_inside) {
		assert_u64_eq(*top_word(), model.top); /* nothing has happened yet */
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

	for (run.stop_idx = 0; run.stop_idx < STEPS_MAX; run.stop_idx++) {
		if (!run_once(&run, &tracer))
			break;
	}
	assert_true(run.stop_idx < STEPS_MAX);
	assert_u64_eq(tracer.aborts_nr, run.stop_idx);
	return tracer.aborts_nr;
}

/* Which descriptor belongs to which function: the one whose first instruction the child meets. */
static void find_section(enum operation operation)
{
	const struct run run = { .operation = operation, .held_nr = 4, .count = 1, .expected = 7 };

	for (const struct rseq_cs *cs = __start___rseq_cs; cs < __stop___rseq_cs; cs++) {
		struct tracer tracer = { .section = cs, .rseq_offset = shared->s.rseq_offset };

		stack_prepare(&run);
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

/* --- closing --- */

static void header_close(void)
{
	struct stack_header *header = stack_header(&shared->s, slot, CLASS);

	header->low = UINT32_MAX;
	header->high = 0;
}

/* What a closer does at its end: takes all entries but one and opens again. */
static void empty_and_open(struct outcome *model)
{
	struct stack_header *header = stack_header(&shared->s, slot, CLASS);

	model->top = LOW + 1;
	header->top = model->top;
	header->low = LOW;
	header->high = HIGH;
}

static bool is_refusal(const struct run *run)
{
	return shared->returned == (run->operation == POP ? STACK_NONE : 0) &&
	       *top_word() == LOW + 1;
}

/*
 * A sequence begins on a closed stack, behind the closer's fence, so that nothing aborts it:
 * rseq_cs stays clear.  At the instruction wanted the closer empties and opens.  Then the sequence
 * either has been refused, or works on what it finds now.
 */
static bool run_on_closed(const struct run *run, struct tracer *tracer)
{
	struct outcome model;
	bool is_stopped_inside;

	stack_prepare(run);
	header_close();
	model_prepare(run, &model);
	tracer_start(tracer, child_main, run);
	tracer_break_at(tracer, tracer->section->start_ip);
	assert_true(tracer_run_to_break(tracer));
	tracer_set_rseq_cs(tracer, 0);
	is_stopped_inside = tracer_step(tracer, run->stop_idx);
	assert_u64_eq(*top_word(), model.top);
	empty_and_open(&model);
	tracer_continue(tracer);
	assert_int_equal(tracer_wait(tracer), -1);
	model_run(run, &model);
	if (!is_refusal(run))
		compare_with(run, &model);
	return is_stopped_inside;
}

static void sequence_begun_on_a_closed_stack_never_mixes_old_and_new(void **state)
{
	unsigned points_nr = 0;

	(void)state;
	if (shared->s.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	for (enum operation operation = POP; operation < OPERATIONS_NR; operation++) {
		struct run run = {
			.operation = operation, .held_nr = 9, .count = 3, .expected = GUARD_BYTE
		};
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
	assert_true(points_nr >= 4 * 8);
}

/* All shapes of one operation: empty, with entries, full, fewer and more than are there. */
static void run_all(enum operation operation)
{
	static const uint32_t held[] = { 0, 1, 5, HIGH - LOW - 2, HIGH - LOW };
	unsigned points_nr = 0, longest = 0;

	if (shared->s.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	find_section(operation);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		for (unsigned changed = 0; changed < 2; changed++) {
			unsigned points = run_at_every_instruction(
				(struct run){ .operation = operation,
					      .held_nr = held[i],
					      .count = 3,
					      .expected = GUARD_BYTE,
					      .is_changed = changed != 0 });

			points_nr += points;
			longest = points > longest ? points : longest;
		}
	}
	printf("[          ] %s: aborted at %u points, %u in the longest run\n",
	       operation_names[operation], points_nr, longest);
	/* Bounds check, top, bound, entry and commit at least. */
	assert_true(longest >= 8);
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

static void refused_push_has_no_effect_wherever_it_is_aborted(void **state)
{
	(void)state;
	if (shared->s.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	find_section(PUSH);
	assert_true(run_at_every_instruction((struct run){
			    .operation = PUSH, .held_nr = 3, .expected = GUARD_BYTE - 1 }) >= 4);
	assert_true(run_at_every_instruction((struct run){
			    .operation = PUSH, .held_nr = 3, .expected = GUARD_BYTE + 1 }) >= 4);
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

static int make_shared(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	stack_setup(&shared->s, 0, true, true);
	shared->s.base = shared->region;
	slot = (unsigned)allowed_cpu_next(0);
	return slot < 64 && pin_to_cpu(slot) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pop_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(push_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(refused_push_has_no_effect_wherever_it_is_aborted),
		cmocka_unit_test(pop_n_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(push_n_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(sequence_begun_on_a_closed_stack_never_mixes_old_and_new),
	};

	return cmocka_run_group_tests_name("rseq_abort", tests, make_shared, NULL);
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

	return cmocka_run_group_tests_name("rseq_abort", tests, NULL, NULL);
}

#endif
