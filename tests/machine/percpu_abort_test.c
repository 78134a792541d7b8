/* SPDX-License-Identifier: MIT */
/*
 * percpu_abort_test.c - every operation on per-CPU data, at every width, aborted at every instruction
 *
 * Goal     However far a sequence has come, an abort takes it back to its beginning and it has its
 *          effect exactly once, on the copy as it is then; and when it has ended, however it
 *          ended, rseq_cs is clear.
 * Method   As rseq_abort_test.c: a child is stopped inside the section, one instruction further
 *          in each run, and must come to the abort label.  There, in one half of the runs, the
 *          copy is changed, as another thread of that CPU might have done.  The result, the copy
 *          and its neighbours are compared with plain C on the type of that width.
 * Output   the number of abort points; an operation without enough of them is a failure.
 */
#include "quire_test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "machine/cpu.h"
#include "tracer.h"

#if QUIRE_THIS_CPU_SEQUENCES

#define STEPS_MAX    32u
#define CPUS_MOST    256u
#define COPY_OFFSET  64u /* of the variable from the region: neighbours on both sides */
#define CANARY	     UINT64_C(0x5a5a5a5a5a5a5a5a)
#define CHANGED_BITS UINT64_C(0x1122334455667788)
#define ADD_IF	     (0x90u | 8u) /* beside the operations of percpu_ops.h */
#define GUARD_VALUE  7u

/* Instructions up to the refusal by the bound: the number, the comparison, the branch; aarch64 loads the bound. */
#ifdef __aarch64__
#define BOUND_STEPS 4u
#else
#define BOUND_STEPS 3u
#endif

struct run {
	unsigned operation;
	uint64_t old, value, expected;
	unsigned stop_idx;
	bool is_changed;
	bool is_unbound; /* no CPU is below the bound: it must refuse */
};

/* Shared with the child. */
static struct {
	struct quire_this_cpu_words words;
	uint32_t guard;
	bool is_done;
	uint64_t result;
	uint64_t rseq_cs_after;
} * shared;
static char *region; /* CPU 0's, shared too */
static unsigned cpu;

/* --- one function each, so that the section is found --- */

#define DEFINE_QUIET(op, bytes, type)                                                              \
	static __attribute__((noinline)) bool do_##op##_##bytes(const struct run *run)             \
	{                                                                                          \
		return quire_seq_##op##_##bytes(&shared->words, region + COPY_OFFSET,              \
						(type)run->value);                                 \
	}

#define DEFINE(bytes, type)                                                                        \
	DEFINE_QUIET(write, bytes, type)                                                           \
	DEFINE_QUIET(add, bytes, type)                                                             \
	DEFINE_QUIET(and, bytes, type)                                                             \
	DEFINE_QUIET(or, bytes, type)                                                              \
	static __attribute__((noinline)) bool do_read_##bytes(const struct run *run)               \
	{                                                                                          \
		type old;                                                                          \
		bool done = quire_seq_read_##bytes(&shared->words, region + COPY_OFFSET, &old);    \
                                                                                                   \
		(void)run;                                                                         \
		shared->result = done ? old : 0;                                                   \
		return done;                                                                       \
	}                                                                                          \
	static __attribute__((noinline)) bool do_add_return_##bytes(const struct run *run)         \
	{                                                                                          \
		type sum;                                                                          \
		size_t slot;                                                                       \
		bool done = quire_seq_add_return_##bytes(&shared->words, region + COPY_OFFSET,     \
							 (type)run->value, &sum, &slot);           \
                                                                                                   \
		if (done && slot != cpu * QUIRE_PERCPU_STRIDE)                                     \
			_exit(3);                                                                  \
		shared->result = done ? sum : 0;                                                   \
		return done;                                                                       \
	}                                                                                          \
	static __attribute__((noinline)) bool do_xchg_##bytes(const struct run *run)               \
	{                                                                                          \
		type old;                                                                          \
		bool done = quire_seq_xchg_##bytes(&shared->words, region + COPY_OFFSET,           \
						   (type)run->value, &old);                        \
                                                                                                   \
		shared->result = done ? old : 0;                                                   \
		return done;                                                                       \
	}                                                                                          \
	static __attribute__((noinline)) bool do_cmpxchg_##bytes(const struct run *run)            \
	{                                                                                          \
		type old;                                                                          \
		bool done =                                                                        \
			quire_seq_cmpxchg_##bytes(&shared->words, region + COPY_OFFSET,            \
						  (type)run->expected, (type)run->value, &old);    \
                                                                                                   \
		shared->result = done ? old : 0;                                                   \
		return done;                                                                       \
	}

DEFINE(1, uint8_t)
DEFINE(2, uint16_t)
DEFINE(4, uint32_t)
DEFINE(8, uint64_t)

static __attribute__((noinline)) bool do_add_if(const struct run *run)
{
	return quire_seq_add_if(&shared->words, (uint64_t *)(void *)(region + COPY_OFFSET),
				run->value, &shared->guard, (uint32_t)run->expected);
}

typedef bool (*do_function)(const struct run *run);

#define OPERATION_ROW(op, OP)                                                                      \
	{                                                                                          \
		QUIRE_THIS_CPU_##OP, #op,                                                          \
		{                                                                                  \
			do_##op##_1, do_##op##_2, do_##op##_4, do_##op##_8                         \
		}                                                                                  \
	}

static const struct operation {
	unsigned number;
	const char *name;
	do_function functions[4];
} operations[] = {
	OPERATION_ROW(read, READ),
	OPERATION_ROW(write, WRITE),
	OPERATION_ROW(add, ADD),
	OPERATION_ROW(and, AND),
	OPERATION_ROW(or, OR),
	OPERATION_ROW(add_return, ADD_RETURN),
	OPERATION_ROW(xchg, XCHG),
	OPERATION_ROW(cmpxchg, CMPXCHG),
	{ 0x90u, "add_if", { [3] = do_add_if } },
};
#define OPERATIONS_NR (sizeof(operations) / sizeof(operations[0]))

static do_function function_of(unsigned operation)
{
	static const uint8_t log2_of[] = { [1] = 0, [2] = 1, [4] = 2, [8] = 3 };

	return operations[(operation >> 4) - 1].functions[log2_of[operation & 15u]];
}

/* --- the model: plain C --- */

static uint64_t cut(uint64_t bits, unsigned bytes)
{
	return bytes == 1   ? (uint8_t)bits
	       : bytes == 2 ? (uint16_t)bits
	       : bytes == 4 ? (uint32_t)bits
			    : bits;
}

struct outcome {
	uint64_t bits, result;
	bool is_done;
};

static struct outcome model_run(const struct run *run, uint64_t old)
{
	unsigned bytes = run->operation & 15u;
	uint64_t value = run->value, sum = cut(old + value, bytes);

	if (run->is_unbound)
		return (struct outcome){ old, 0, false };
	switch (run->operation & ~15u) {
	case QUIRE_THIS_CPU_READ:
		return (struct outcome){ old, old, true };
	case QUIRE_THIS_CPU_WRITE:
		return (struct outcome){ cut(value, bytes), 0, true };
	case QUIRE_THIS_CPU_ADD:
		return (struct outcome){ sum, 0, true };
	case QUIRE_THIS_CPU_AND:
		return (struct outcome){ cut(old & value, bytes), 0, true };
	case QUIRE_THIS_CPU_OR:
		return (struct outcome){ cut(old | value, bytes), 0, true };
	case QUIRE_THIS_CPU_ADD_RETURN:
		return (struct outcome){ sum, sum, true };
	case QUIRE_THIS_CPU_XCHG:
		return (struct outcome){ cut(value, bytes), old, true };
	case QUIRE_THIS_CPU_CMPXCHG:
		return (struct outcome){ old == cut(run->expected, bytes) ? cut(value, bytes) : old,
					 old, true };
	default: /* add_if */
		if (run->expected != GUARD_VALUE)
			return (struct outcome){ old, 0, false };
		return (struct outcome){ sum, 0, true };
	}
}

/* --- the copy, between canaries --- */

static char *copy(void)
{
	return region + cpu * QUIRE_PERCPU_STRIDE + COPY_OFFSET;
}

static void copy_set(unsigned bytes, uint64_t bits)
{
	memcpy(copy(), &bits, bytes); /* little-endian */
}

static uint64_t copy_get(unsigned bytes)
{
	uint64_t bits = 0;

	memcpy(&bits, copy(), bytes);
	return bits;
}

static void copy_prepare(const struct run *run)
{
	const uint64_t canary = CANARY;

	for (int i = -1; i <= 1; i++)
		memcpy(copy() + 8 * i, &canary, 8);
	copy_set(run->operation & 15u, run->old);
	shared->guard = GUARD_VALUE;
	shared->result = 0;
	shared->is_done = false;
	shared->rseq_cs_after = 1;
	cpu_fill_words(&shared->words);
	if (run->is_unbound)
		shared->words.bound = &shared->words.no_cpus;
}

static void compare_with(const struct run *run, const struct outcome *model)
{
	const uint64_t canary = CANARY;
	unsigned bytes = run->operation & 15u;

	assert_int_equal(shared->is_done, model->is_done);
	assert_u64_eq(shared->result, model->result);
	assert_u64_eq(copy_get(bytes), model->bits);
	assert_memory_equal(copy() - 8, &canary, 8);
	assert_memory_equal(copy() + bytes, &canary, 8 - bytes);
	assert_memory_equal(copy() + 8, &canary, 8);
	assert_u64_eq(shared->rseq_cs_after, 0);
}

/* --- one run --- */

static void child_main(const void *arg)
{
	const struct run *run = arg;

	shared->is_done = function_of(run->operation)(run);
	shared->rseq_cs_after = tracer_own_rseq_cs(shared->words.rseq_offset);
}

/* Returns whether the stop lay inside the section: then there is a next instruction to try. */
static bool run_once(const struct run *run, struct tracer *tracer)
{
	unsigned bytes = run->operation & 15u;
	uint64_t old = cut(run->old, bytes);
	struct outcome model;
	bool is_inside;

	copy_prepare(run);
	tracer_start(tracer, child_main, run);
	tracer_break_at(tracer, tracer->section->start_ip);
	assert_true(tracer_run_to_break(tracer));
	assert_u64_eq(tracer_rseq_cs(tracer), (uint64_t)tracer->section);
	tracer_set_rseq_cs(tracer, 0);
	is_inside = tracer_step(tracer, run->stop_idx);
	tracer_set_rseq_cs(tracer, (uint64_t)tracer->section);
	tracer_break_at(tracer, tracer->section->abort_ip);
	assert_int_equal(tracer_run_to_break(tracer), is_inside);
	if (is_inside) {
		assert_u64_eq(copy_get(bytes), old); /* nothing has happened yet */
		if (run->is_changed) {
			old = cut(CHANGED_BITS, bytes);
			copy_set(bytes, old);
		}
		tracer->aborts_nr++;
		tracer_finish_after_abort(tracer);
	}
	model = model_run(run, old);
	compare_with(run, &model);
	return is_inside;
}

static unsigned run_at_every_instruction(struct run run)
{
	struct tracer tracer = { .section =
					 tracer_section_of((uintptr_t)function_of(run.operation)),
				 .rseq_offset = shared->words.rseq_offset };

	for (run.stop_idx = 0; run.stop_idx < STEPS_MAX; run.stop_idx++) {
		if (!run_once(&run, &tracer))
			break;
	}
	assert_true(run.stop_idx < STEPS_MAX);
	return tracer.aborts_nr;
}

/* Both answers of a comparison, an unchanged and a changed copy. */
static unsigned run_all(unsigned operation)
{
	const struct run run = { .operation = operation,
				 .old = UINT64_C(0xfedcba98f6dcba98),
				 .value = UINT64_C(0x8796a5b4c3d2e1f0),
				 .expected = operation == ADD_IF ? GUARD_VALUE
								 : UINT64_C(0xfedcba98f6dcba98) };
	unsigned points_nr = 0;

	for (unsigned kind = 0; kind < 4; kind++) {
		struct run one = run;

		one.is_changed = (kind & 1) != 0;
		one.expected += kind >> 1; /* the other answer; to most the same as before */
		if (kind >= 2 && operation != ADD_IF &&
		    (operation & ~15u) != QUIRE_THIS_CPU_CMPXCHG)
			continue;
		points_nr += run_at_every_instruction(one);
	}
	return points_nr;
}

static void operation_has_its_effect_once_wherever_it_is_aborted(void **state)
{
	(void)state;
	if (!cpu_has_sequences())
		skip_because("no per-CPU sequences here");
	for (size_t i = 0; i < OPERATIONS_NR; i++) {
		unsigned points_nr = 0, widths_nr = 0;

		for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
			if (function_of(operations[i].number | bytes) == NULL)
				continue;
			points_nr += run_all(operations[i].number | bytes);
			widths_nr++;
		}
		printf("[          ] %s: aborted at %u points, %u widths\n", operations[i].name,
		       points_nr, widths_nr);
		/* number, bound, refusal, slot and commit, with the copy changed and unchanged */
		assert_true(points_nr >= 2 * 5 * widths_nr);
	}
}

static void number_above_the_bound_is_refused_wherever_it_is_aborted(void **state)
{
	(void)state;
	if (!cpu_has_sequences())
		skip_because("no per-CPU sequences here");
	for (size_t i = 0; i < OPERATIONS_NR; i++)
		assert_true(run_at_every_instruction(
				    (struct run){ .operation = operations[i].number | 8u,
						  .old = 4711,
						  .value = 1,
						  .expected = GUARD_VALUE,
						  .is_unbound = true }) == BOUND_STEPS);
}

static int make_shared(void **state)
{
	size_t bytes = CPUS_MOST * QUIRE_PERCPU_STRIDE;

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED || region == MAP_FAILED)
		return -1;
	cpu_fill_words(&shared->words);
	cpu = (unsigned)allowed_cpu_next(0);
	return cpu < CPUS_MOST && pin_to_cpu(cpu) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operation_has_its_effect_once_wherever_it_is_aborted),
		cmocka_unit_test(number_above_the_bound_is_refused_wherever_it_is_aborted),
	};

	return cmocka_run_group_tests_name("percpu_abort", tests, make_shared, NULL);
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

	return cmocka_run_group_tests_name("percpu_abort", tests, NULL, NULL);
}

#endif
