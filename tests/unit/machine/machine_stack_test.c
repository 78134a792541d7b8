/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "confine.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"

#define CLASSES_NR 3u
#define ROOM	   64u
#define CLASS	   1u
#define ENTRY_LOW  1024u /* index of class 0's first entry; the headers lie below */

static const uint8_t guard;

/* A set of stacks whose regions are ours; every slot and class open and empty. */
static void stacks_make(struct cpu_stacks *s, unsigned cpus_max, bool by_cpu, bool rseq)
{
	size_t bytes;

	*s = (struct cpu_stacks){ .base = NULL };
	stack_setup(s, cpus_max, by_cpu, rseq);
	bytes = (size_t)s->all_slots_nr * STACKS_STRIDE;
	s->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(s->base != MAP_FAILED);
}

static void stacks_free(struct cpu_stacks *s)
{
	CHECK(munmap(s->base, (size_t)s->all_slots_nr * STACKS_STRIDE) == 0);
}

static void open_stack(const struct cpu_stacks *s, unsigned slot, unsigned class)
{
	struct stack_header *header = stack_header(s, slot, class);
	uint32_t low = ENTRY_LOW + class * ROOM;
	uint64_t bounds = (uint64_t)(low + ROOM) << 32 | low;

	store_release((uint64_t *)(void *)&header->low, bounds);
}

static void close_stack(const struct cpu_stacks *s, unsigned slot, unsigned class)
{
	struct stack_header *header = stack_header(s, slot, class);

	store_relaxed((uint64_t *)(void *)&header->low, (uint64_t)UINT32_MAX);
}

static void stacks_open_empty(const struct cpu_stacks *s)
{
	for (unsigned slot = 0; slot < s->all_slots_nr; slot++) {
		for (unsigned class = 0; class < CLASSES_NR; class ++) {
			stack_header(s, slot, class)->top = ENTRY_LOW + class * ROOM;
			open_stack(s, slot, class);
		}
	}
}

/* One thread that stays where it is, so that it finds again what it has pushed. */
static bool stacks_make_pinned(struct cpu_stacks *s)
{
	stacks_make(s, 0, true, true);
	stacks_open_empty(s);
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	return s->slots_nr != 0;
}

static uint32_t held(const struct cpu_stacks *s, unsigned slot, unsigned class)
{
	return stack_header(s, slot, class)->top - (ENTRY_LOW + class * ROOM);
}

static void unpin(const cpu_set_t *before)
{
	assert_int_equal(sched_setaffinity(0, sizeof(*before), before), 0);
}

static cpu_set_t affinity_at_start;

static int remember_affinity(void **state)
{
	(void)state;
	return sched_getaffinity(0, sizeof(affinity_at_start), &affinity_at_start);
}

static int restore_affinity(void **state)
{
	(void)state;
	unpin(&affinity_at_start);
	return 0;
}

static void pop_gives_the_newest(void **state)
{
	struct cpu_stacks s;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	assert_u64_eq(stack_pop(&s, CLASS), STACK_NONE);
	for (uint32_t i = 0; i < 10; i++)
		assert_true(stack_push(&s, CLASS, 100 + i, &guard, 0));
	for (uint32_t i = 10; i > 0; i--)
		assert_u64_eq(stack_pop(&s, CLASS), 100 + i - 1);
	assert_u64_eq(stack_pop(&s, CLASS), STACK_NONE);
	stacks_free(&s);
}

static void push_is_refused_when_full(void **state)
{
	struct cpu_stacks s;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	for (uint32_t i = 0; i < ROOM; i++)
		assert_true(stack_push(&s, CLASS, i, &guard, 0));
	assert_false(stack_push(&s, CLASS, 1000, &guard, 0));
	assert_u64_eq(stack_pop(&s, CLASS), ROOM - 1);
	assert_true(stack_push(&s, CLASS, 1000, &guard, 0));
	stacks_free(&s);
}

static void classes_do_not_mix(void **state)
{
	struct cpu_stacks s;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		for (uint32_t i = 0; i < ROOM; i++)
			assert_true(stack_push(&s, class, class * 1000 + i, &guard, 0));
	}
	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		for (uint32_t i = ROOM; i > 0; i--)
			assert_u64_eq(stack_pop(&s, class), class * 1000 + i - 1);
		assert_u64_eq(stack_pop(&s, class), STACK_NONE);
	}
	stacks_free(&s);
}

static void push_is_refused_unless_the_guard_is_as_expected(void **state)
{
	struct cpu_stacks s;
	uint8_t byte = 5;
	unsigned slot;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	slot = (unsigned)stack_slot(&s);
	assert_false(stack_push(&s, CLASS, 1, &byte, 4));
	assert_false(stack_push(&s, CLASS, 1, &byte, 6)); /* both sides of the comparison's carry */
	assert_false(stack_push(&s, CLASS, 1, &byte, 0xff));
	assert_u64_eq(held(&s, slot, CLASS), 0);
	assert_true(stack_push(&s, CLASS, 1, &byte, 5));
	assert_u64_eq(held(&s, slot, CLASS), 1);
	stacks_free(&s);
}

static void closed_stack_refuses_everything(void **state)
{
	uint32_t entries[4] = { 1, 2, 3, 4 };
	struct cpu_stacks s;
	unsigned slot;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	slot = (unsigned)stack_slot(&s);
	assert_true(stack_push(&s, CLASS, 9, &guard, 0));
	close_stack(&s, slot, CLASS);
	stack_fence_slot(&s, slot);
	assert_u64_eq(stack_pop(&s, CLASS), STACK_NONE);
	assert_false(stack_push(&s, CLASS, 1, &guard, 0));
	assert_u64_eq(stack_pop_n(&s, CLASS, entries, 4), 0);
	assert_u64_eq(stack_push_n(&s, CLASS, entries, 4), 0);
	assert_u64_eq(held(&s, slot, CLASS), 1);
	open_stack(&s, slot, CLASS);
	assert_u64_eq(stack_pop(&s, CLASS), 9);
	stacks_free(&s);
}

static void pop_n_takes_the_newest_and_keeps_their_order(void **state)
{
	uint32_t entries[ROOM + 1] = { 0 };
	struct cpu_stacks s;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	for (uint32_t i = 0; i < 10; i++)
		assert_true(stack_push(&s, CLASS, i, &guard, 0));
	assert_u64_eq(stack_pop_n(&s, CLASS, entries, 0), 0);
	assert_u64_eq(stack_pop_n(&s, CLASS, entries, 4), 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_u64_eq(entries[i], 6 + i);
	entries[6] = 77;
	assert_u64_eq(stack_pop_n(&s, CLASS, entries, ROOM), 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_u64_eq(entries[i], i);
	assert_u64_eq(entries[6], 77);
	assert_u64_eq(stack_pop_n(&s, CLASS, entries, 4), 0);
	stacks_free(&s);
}

static void push_n_pushes_the_first_that_fit_in_order(void **state)
{
	uint32_t entries[ROOM + 8];
	struct cpu_stacks s;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	for (uint32_t i = 0; i < ROOM + 8; i++)
		entries[i] = 500 + i;
	assert_u64_eq(stack_push_n(&s, CLASS, entries, 0), 0);
	assert_u64_eq(stack_push_n(&s, CLASS, entries, 3), 3);
	assert_u64_eq(stack_pop(&s, CLASS), 502);
	assert_u64_eq(stack_push_n(&s, CLASS, entries + 2, ROOM), ROOM - 2);
	assert_u64_eq(stack_push_n(&s, CLASS, entries, 1), 0);
	for (uint32_t i = ROOM; i > 0; i--)
		assert_u64_eq(stack_pop(&s, CLASS), 500 + i - 1);
	assert_u64_eq(stack_pop(&s, CLASS), STACK_NONE);
	stacks_free(&s);
}

/* --- without sequences --- */

static void refuse_and_hash(struct cpu_stacks *s)
{
	uint32_t entries[2] = { 1, 2 };

	CHECK_VALUES(s->slots_nr == 0, s->slots_nr, 0);
	stacks_open_empty(s);
	CHECK(!stack_push(s, CLASS, 1, &guard, 0));
	CHECK(stack_pop(s, CLASS) == STACK_NONE);
	CHECK(stack_push_n(s, CLASS, entries, 2) == 0);
	CHECK(stack_pop_n(s, CLASS, entries, 2) == 0);
	CHECK(stack_slot(s) >= 0 && (unsigned)stack_slot(s) < s->all_slots_nr);
	CHECK(!lock_nested()); /* the stand-in for struct rseq lies beside the count */
	stack_fence_slot(s, 0);
	stack_fence_all(s, NULL);
}

static void switched_off_means_refused(void **state)
{
	struct cpu_stacks s;

	(void)state;
	stacks_make(&s, 0, false, false);
	assert_u64_eq(s.all_slots_nr, process_cpus_possible());
	assert_u64_eq(s.slots_nr, 0);
	refuse_and_hash(&s);
	stacks_free(&s);
}

static void refuse_without_membarrier(void *arg)
{
	struct cpu_stacks s;

	confine_deny(SYS_membarrier, *(int *)arg);
	stacks_make(&s, 0, false, true);
	refuse_and_hash(&s);
}

static void denied_membarrier_means_refused(void **state)
{
	int errors[] = { EPERM, ENOSYS };

	(void)state;
	expect_life(refuse_without_membarrier, &errors[0]);
	expect_life(refuse_without_membarrier, &errors[1]);
}

/*
 * libc stops a program in which a new thread cannot have rseq, so such a thread is made by hand:
 * it gives its registration up.  The kernel then leaves cpu_id below zero, but mm_cid 0.
 */
#define RSEQ_BYTES	32
#define RSEQ_UNREGISTER 1
#define RSEQ_SIGNATURE	0x53053053

static void refuse_in_this_thread(unsigned index, void *arg)
{
	struct cpu_stacks *s = arg;
	uint32_t entries[2] = { 1, 2 };
	char *area = (char *)__builtin_thread_pointer() + s->rseq_offset;

	(void)index;
	CHECK(syscall(SYS_rseq, area, RSEQ_BYTES, RSEQ_UNREGISTER, RSEQ_SIGNATURE) == 0);
	CHECK(!stack_push(s, CLASS, 1, &guard, 0));
	CHECK(stack_pop(s, CLASS) == STACK_NONE);
	CHECK(stack_push_n(s, CLASS, entries, 2) == 0);
	CHECK(stack_pop_n(s, CLASS, entries, 2) == 0);
	CHECK(stack_slot(s) >= 0 && (unsigned)stack_slot(s) < s->all_slots_nr);
	CHECK(syscall(SYS_rseq, area, RSEQ_BYTES, 0, RSEQ_SIGNATURE) == 0);
}

static void run_thread_without_rseq(void *arg)
{
	struct cpu_stacks s;

	stacks_make(&s, 0, *(bool *)arg, true);
	stacks_open_empty(&s);
	if (s.slots_nr == 0)
		return;
	for (unsigned slot = 0; slot < s.slots_nr; slot++)
		stack_header(&s, slot, CLASS)->top++; /* neither empty nor full */
	team_run(1, refuse_in_this_thread, &s);
}

static void thread_without_rseq_is_refused(void **state)
{
	bool by_cpu[] = { false, true };

	(void)state;
	expect_life(run_thread_without_rseq, &by_cpu[0]);
	expect_life(run_thread_without_rseq, &by_cpu[1]);
}

/* The program runs itself with rseq switched off in libc. */
static void run_without_libc_rseq(void *arg)
{
	(void)arg;
	setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
	execl("/proc/self/exe", "machine_stack_test", "refuses", (char *)NULL);
	CHECK(false);
}

static void libc_without_rseq_means_refused(void **state)
{
	(void)state;
	expect_life(run_without_libc_rseq, NULL);
}

static int refuses_main(void)
{
	struct cpu_stacks s;

	stacks_make(&s, 0, false, true);
	refuse_and_hash(&s);
	return 0;
}

static void fewer_slots_than_cpus_are_never_indexed_by_cpu(void **state)
{
	struct cpu_stacks s;
	unsigned possible = process_cpus_possible();

	(void)state;
	if (possible < 2)
		skip_because("it takes two CPUs");
	stacks_make(&s, 1, true, true);
	assert_u64_eq(s.all_slots_nr, 1);
	refuse_and_hash(&s);
	stacks_free(&s);
	/* Threads of one process that run together have numbers below the number of CPUs; with
	 * one slot, the second thread's number is beyond and it is refused, or hashed. */
	stacks_make(&s, 1, false, true);
	assert_u64_eq(s.all_slots_nr, 1);
	assert_true(s.slots_nr <= 1);
	assert_false(s.by_cpu && s.slots_nr != 0);
	assert_int_equal(stack_slot(&s), 0);
	stacks_free(&s);
	stacks_make(&s, possible + 5, true, true);
	assert_u64_eq(s.all_slots_nr, possible);
	stacks_free(&s);
}

static void fence_may_name_a_cpu_that_is_not_there(void **state)
{
	uint64_t skip_all[16] = { UINT64_MAX };
	struct cpu_stacks s;

	(void)state;
	if (!stacks_make_pinned(&s))
		skip_because("no per-CPU sequences here");
	stack_fence_slot(&s, 0);
	stack_fence_slot(&s, 4000);
	stack_fence_all(&s, NULL);
	stack_fence_all(&s, skip_all);
	assert_true(s.by_cpu);
	stacks_free(&s);
}

static void fence_in_child(void *arg)
{
	const struct cpu_stacks *s = arg;

	stack_fence_all(s, NULL);
	stack_fence_slot(s, 0);
}

static void fence_works_in_a_child(void **state)
{
	struct cpu_stacks s;

	(void)state;
	stacks_make(&s, 0, false, true);
	expect_life(fence_in_child, &s);
	stacks_free(&s);
}

/* --- all together --- */

#define TOKENS_PER_THREAD 40u
#define THREADS_NR	  5u /* four that push and pop, one that closes */
#define TOKENS_NR	  (TOKENS_PER_THREAD * (THREADS_NR - 1))

/*
 * Each token is in one place: a thread's pocket or some stack.  taken[] says who took a token out
 * of a stack and has not put it back: if two ever have it, it was doubled.
 */
struct storm {
	struct cpu_stacks s;
	uint64_t end_ns, longest_ns;
	uint32_t taken[TOKENS_NR + 1];			    /* atomic */
	uint32_t doubled_nr, strange_nr;		    /* atomic */
	uint64_t pushes_nr, pops_nr, drains_nr, drained_nr; /* atomic */
	uint32_t left_nr; /* atomic: tokens in pockets at the end */
};

struct pocket {
	uint32_t tokens[TOKENS_NR];
	uint32_t tokens_nr;
	uint64_t seed;
};

static uint32_t draw(struct pocket *pocket, uint32_t below)
{
	pocket->seed = pocket->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((pocket->seed >> 33) % below);
}

static void take(struct storm *storm, struct pocket *pocket, const uint32_t *tokens, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (tokens[i] == 0 || tokens[i] > TOKENS_NR) {
			fetch_add_relaxed(&storm->strange_nr, 1);
			continue;
		}
		if (exchange_acq_rel(&storm->taken[tokens[i]], UINT32_C(1)) != 0)
			fetch_add_relaxed(&storm->doubled_nr, 1);
		if (pocket->tokens_nr < TOKENS_NR)
			pocket->tokens[pocket->tokens_nr++] = tokens[i];
	}
}

static void storm_pop(struct storm *storm, struct pocket *pocket, unsigned class)
{
	uint32_t tokens[16];
	uint32_t n = 1;

	if (draw(pocket, 4) == 0)
		n = stack_pop_n(&storm->s, class, tokens, 1 + draw(pocket, 16));
	else
		tokens[0] = stack_pop(&storm->s, class);
	if (n != 0 && tokens[0] == STACK_NONE)
		n = 0;
	take(storm, pocket, tokens, n);
	fetch_add_relaxed(&storm->pops_nr, n);
}

/* Marks as given before the push, since another may pop it at once. */
static void storm_push(struct storm *storm, struct pocket *pocket, unsigned class)
{
	uint32_t n = draw(pocket, 4) == 0 ? 1 + draw(pocket, 16) : 1;
	uint32_t *tokens, pushed;

	if (n > pocket->tokens_nr)
		n = pocket->tokens_nr;
	if (n == 0)
		return;
	tokens = &pocket->tokens[pocket->tokens_nr - n];
	for (uint32_t i = 0; i < n; i++)
		store_release(&storm->taken[tokens[i]], UINT32_C(0));
	pushed = n == 1 ? stack_push(&storm->s, class, tokens[0], &guard, 0)
			: stack_push_n(&storm->s, class, tokens, n);
	for (uint32_t i = pushed; i < n; i++) {
		if (exchange_acq_rel(&storm->taken[tokens[i]], UINT32_C(1)) != 0)
			fetch_add_relaxed(&storm->doubled_nr, 1);
	}
	memmove(tokens, tokens + pushed, (n - pushed) * sizeof(*tokens));
	pocket->tokens_nr -= pushed;
	fetch_add_relaxed(&storm->pushes_nr, pushed);
}

static void migrate(struct pocket *pocket)
{
	int cpu = allowed_cpu_next(draw(pocket, process_cpus_possible()));

	if (draw(pocket, 3) == 0)
		sched_setaffinity(0, sizeof(affinity_at_start), &affinity_at_start);
	else if (cpu >= 0)
		pin_to_cpu((unsigned)cpu);
}

/* Enough of everything has happened at once. */
static bool storm_has_raged(struct storm *storm)
{
	return load_relaxed(&storm->pops_nr) > 1000 && load_relaxed(&storm->drains_nr) > 100 &&
	       load_relaxed(&storm->drained_nr) > 100;
}

/* For its time, and on a busy machine until it has raged. */
static bool storm_goes_on(struct storm *storm)
{
	uint64_t now_ns = clock_now_ns();

	return now_ns < storm->end_ns || (now_ns < storm->longest_ns && !storm_has_raged(storm));
}

static void push_and_pop(struct storm *storm, unsigned index)
{
	struct pocket pocket = { .seed = index };

	for (uint32_t i = 0; i < TOKENS_PER_THREAD; i++)
		pocket.tokens[pocket.tokens_nr++] = 1 + index * TOKENS_PER_THREAD + i;
	for (uint64_t i = 0; i % 64 != 0 || storm_goes_on(storm); i++) {
		unsigned class = draw(&pocket, CLASSES_NR);

		if (draw(&pocket, 2) == 0)
			storm_pop(storm, &pocket, class);
		else
			storm_push(storm, &pocket, class);
		if (i % 512 == 0)
			migrate(&pocket);
	}
	sched_setaffinity(0, sizeof(affinity_at_start), &affinity_at_start);
	fetch_add_relaxed(&storm->left_nr, pocket.tokens_nr);
}

/* Empties a closed slot into @pocket: nobody else may touch it. */
static void drain_closed(struct storm *storm, struct pocket *pocket, unsigned slot)
{
	uint32_t *entries = stack_entries(&storm->s, slot);

	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		uint32_t n = held(&storm->s, slot, class);

		if (n > ROOM) {
			fetch_add_relaxed(&storm->strange_nr, 1);
			continue;
		}
		take(storm, pocket, entries + ENTRY_LOW + class * ROOM, n);
		stack_header(&storm->s, slot, class)->top -= n;
		fetch_add_relaxed(&storm->drained_nr, n);
	}
}

static void close_and_drain(struct storm *storm, struct pocket *pocket, unsigned slot)
{
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		close_stack(&storm->s, slot, class);
	stack_fence_slot(&storm->s, slot);
	drain_closed(storm, pocket, slot);
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		open_stack(&storm->s, slot, class);
	fetch_add_relaxed(&storm->drains_nr, 1);
}

static void drain_all_slots(struct storm *storm)
{
	struct pocket pocket = { .seed = 99 };

	while (storm_goes_on(storm)) {
		close_and_drain(storm, &pocket, draw(&pocket, storm->s.slots_nr));
		for (unsigned class = 0; class < CLASSES_NR; class ++)
			storm_push(storm, &pocket, class);
		if (draw(&pocket, 64) == 0)
			usleep(1000);
	}
	fetch_add_relaxed(&storm->left_nr, pocket.tokens_nr);
}

static void storm_thread(unsigned index, void *arg)
{
	if (index == THREADS_NR - 1)
		drain_all_slots(arg);
	else
		push_and_pop(arg, index);
}

static uint32_t tokens_in_stacks(const struct cpu_stacks *s)
{
	uint32_t tokens_nr = 0;

	for (unsigned slot = 0; slot < s->slots_nr; slot++) {
		for (unsigned class = 0; class < CLASSES_NR; class ++)
			tokens_nr += held(s, slot, class);
	}
	return tokens_nr;
}

static void storm_run(bool by_cpu)
{
	static struct storm storm;
	uint64_t ms = env_u64("QUIRE_STORM_MS", 1500);

	storm = (struct storm){ .end_ns = clock_now_ns() + ms * 1000000,
				.longest_ns = await_begin() + ms * 1000000 };
	stacks_make(&storm.s, 0, by_cpu, true);
	stacks_open_empty(&storm.s);
	if (storm.s.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	for (uint32_t i = 1; i <= TOKENS_NR; i++)
		storm.taken[i] = 1;
	team_run(THREADS_NR, storm_thread, &storm);
	printf("[          ] by_cpu %d: %llu pushed, %llu popped, %llu drains took %llu\n", by_cpu,
	       (unsigned long long)storm.pushes_nr, (unsigned long long)storm.pops_nr,
	       (unsigned long long)storm.drains_nr, (unsigned long long)storm.drained_nr);
	assert_u64_eq(storm.doubled_nr, 0);
	assert_u64_eq(storm.strange_nr, 0);
	assert_u64_eq(storm.left_nr + tokens_in_stacks(&storm.s), TOKENS_NR);
	assert_u64_eq(storm.pushes_nr - storm.pops_nr - storm.drained_nr,
		      tokens_in_stacks(&storm.s));
	assert_true(storm_has_raged(&storm));
	stacks_free(&storm.s);
}

static void nothing_is_lost_or_doubled_under_migration_and_drains(void **state)
{
	(void)state;
	storm_run(false);
}

static void nothing_is_lost_or_doubled_when_slots_are_cpus(void **state)
{
	(void)state;
	storm_run(true);
}

#define stack_test(name) cmocka_unit_test_setup_teardown(name, remember_affinity, restore_affinity)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		stack_test(denied_membarrier_means_refused),
		stack_test(thread_without_rseq_is_refused),
		stack_test(libc_without_rseq_means_refused),
		stack_test(switched_off_means_refused),
		stack_test(pop_gives_the_newest),
		stack_test(push_is_refused_when_full),
		stack_test(classes_do_not_mix),
		stack_test(push_is_refused_unless_the_guard_is_as_expected),
		stack_test(closed_stack_refuses_everything),
		stack_test(pop_n_takes_the_newest_and_keeps_their_order),
		stack_test(push_n_pushes_the_first_that_fit_in_order),
		stack_test(fewer_slots_than_cpus_are_never_indexed_by_cpu),
		stack_test(fence_may_name_a_cpu_that_is_not_there),
		stack_test(fence_works_in_a_child),
		stack_test(nothing_is_lost_or_doubled_under_migration_and_drains),
		stack_test(nothing_is_lost_or_doubled_when_slots_are_cpus),
	};

	if (argc > 1 && strcmp(argv[1], "refuses") == 0)
		return refuses_main();
	return cmocka_run_group_tests_name("machine_stack", tests, NULL, NULL);
}
