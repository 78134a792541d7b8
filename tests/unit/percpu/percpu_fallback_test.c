/* SPDX-License-Identifier: MIT */
/*
 * percpu_fallback_test.c - operations on this CPU's copy where no sequence can do them as it stands
 *
 * A thread gives up its registration and so is like one that libc did not make; it is moved from
 * outside, interrupted, and forbidden to register.  Then CPUs that objects have no copy for.  What
 * ends a process's sequences, or hides its files, happens in children.
 */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>
#include <quire/percpu_ref.h>

#include "confine.h"
#include "machine/cpu.h"
#include "machine/linux/sanitizer.h"
#include "machine/linux/probe.h"
#include "machine/process.h"

#define RSEQ_UNREGISTER 1
#ifdef __aarch64__
#define RSEQ_SIGNATURE 0xd428bc00u
#else
#define RSEQ_SIGNATURE 0x53053053u
#endif

#define ADDS 20000u

static long *object;	/* of the default instance, with copies on all possible CPUs */
static int here, there; /* CPUs; there < 0: only one */

static void lose_number(void)
{
	char *area = (char *)__builtin_thread_pointer() + probe_rseq_offset();

	if (syscall(SYS_rseq, area, 32, RSEQ_UNREGISTER, RSEQ_SIGNATURE) != 0)
		_exit(5);
}

static void check(bool holds, int status)
{
	if (!holds)
		_exit(status);
}

static void allow_only(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	check(pthread_setaffinity_np(thread, sizeof(set), &set) == 0, 6);
}

/* --- a thread without a number --- */

struct adder {
	pthread_t thread;
	uint64_t adds; /* atomic */
	bool stop;     /* atomic */
	bool loses_number;
};

static void *add_until_stopped(void *arg)
{
	struct adder *adder = arg;

	if (adder->loses_number)
		lose_number();
	while (!__atomic_load_n(&adder->stop, __ATOMIC_RELAXED)) {
		quire_this_cpu_inc(object);
		__atomic_fetch_add(&adder->adds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void adder_start(struct adder *adder, bool loses_number)
{
	*adder = (struct adder){ .loses_number = loses_number };
	assert_int_equal(pthread_create(&adder->thread, NULL, add_until_stopped, adder), 0);
}

static uint64_t adder_stop(struct adder *adder)
{
	__atomic_store_n(&adder->stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(adder->thread, NULL), 0);
	return adder->adds;
}

/* Its mask is what was last set: the operations leave it alone. */
static void thread_without_a_number_is_moved_from_outside(void **state)
{
	struct adder with, without;
	uint64_t adds;
	long before = quire_per_cpu_sum(object);
	unsigned undone_nr = 0;

	(void)state;
	if (!cpu_has_sequences() || there < 0)
		skip_because("no per-CPU sequences here");
	adder_start(&with, false);
	adder_start(&without, true);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t seen = __atomic_load_n(&without.adds, __ATOMIC_RELAXED);
		cpu_set_t set;

		allow_only(without.thread, i % 2 == 0 ? here : there);
		allow_only(with.thread, i % 3 == 0 ? here : there);
		for (unsigned k = 0;
		     k < 1000 && __atomic_load_n(&without.adds, __ATOMIC_RELAXED) < seen + 10; k++)
			sched_yield();
		assert_int_equal(pthread_getaffinity_np(without.thread, sizeof(set), &set), 0);
		undone_nr += CPU_COUNT(&set) != 1 ||
			     !CPU_ISSET((size_t)(i % 2 == 0 ? here : there), &set);
	}
	adds = adder_stop(&with) + adder_stop(&without);
	assert_u64_eq(quire_per_cpu_sum(object) - before, adds);
	assert_int_equal(undone_nr, 0);
	assert_true(cpu_has_sequences()); /* it registered, each time */
}

static uint64_t in_handler_nr; /* atomic */

static void add_in_handler(int signal)
{
	(void)signal;
	quire_this_cpu_inc(object);
	__atomic_fetch_add(&in_handler_nr, 1, __ATOMIC_RELAXED);
}

/* Before, between and after the two system calls, and inside the sequence. */
static void *add_under_signals(void *arg)
{
	uint64_t *adds = arg;

	lose_number();
	while (__atomic_load_n(&in_handler_nr, __ATOMIC_RELAXED) < 1000) {
		quire_this_cpu_inc(object);
		++*adds;
	}
	return NULL;
}

static void handler_adds_on_a_thread_without_a_number(void **state)
{
	struct sigaction action = { .sa_handler = add_in_handler };
	long before = quire_per_cpu_sum(object);
	uint64_t adds = 0;
	pthread_t thread;

	(void)state;
	if (!cpu_has_sequences())
		skip_because("no per-CPU sequences here");
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, add_under_signals, &adds), 0);
	while (__atomic_load_n(&in_handler_nr, __ATOMIC_RELAXED) < 1000) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_u64_eq(quire_per_cpu_sum(object) - before, adds + in_handler_nr);
	assert_true(cpu_has_sequences());
}

/* --- a thread that may not register --- */

static struct {
	struct quire_percpu_counter counter;
	struct quire_percpu_ref ref;
	unsigned lost_nr; /* the first so many members of a team have no number, and get none */
	bool is_released;
} shared;

static void note_release(struct quire_percpu_ref *ref)
{
	(void)ref;
	shared.is_released = true;
}

static void count(unsigned index, void *arg)
{
	(void)arg;
	if (index < shared.lost_nr) {
		lose_number();
		confine_deny(SYS_rseq, EPERM);
	}
	for (unsigned i = 0; i < ADDS; i++) {
		quire_percpu_ref_get(&shared.ref);
		quire_this_cpu_inc(object);
		quire_percpu_counter_add(&shared.counter, 1);
		if (i % 2 == 0)
			quire_percpu_ref_put(&shared.ref);
	}
}

static void count_where_registering_is_refused(void *arg)
{
	struct quire *q = quire_default();
	long before = quire_per_cpu_sum(object);

	shared.lost_nr = *(unsigned *)arg;
	check(quire_percpu_counter_init(q, &shared.counter, 0, 0) == 0, 8);
	check(quire_percpu_ref_init(q, &shared.ref, note_release, 0) == 0, 9);
	team_run(4, count, NULL);
	check(quire_per_cpu_sum(object) - before == 4 * (long)ADDS, 10);
	check(quire_percpu_counter_sum(&shared.counter) == 4 * (int64_t)ADDS, 11);
	check(!cpu_has_sequences(), 12);
	shared.lost_nr = 0;
	team_run(2, count, NULL);
	check(quire_per_cpu_sum(object) - before == 6 * (long)ADDS, 13);
	check(quire_percpu_counter_sum(&shared.counter) == 6 * (int64_t)ADDS, 14);
	quire_percpu_ref_kill(&shared.ref);
	check(!shared.is_released, 15);
	quire_percpu_ref_put_many(&shared.ref, 6 * ADDS / 2);
	check(shared.is_released, 16);
}

static void refused_registration_ends_sequences(void **state)
{
	unsigned one = 1, two = 2;

	(void)state;
	if (!cpu_has_sequences())
		skip_because("no per-CPU sequences here");
	expect_life(count_where_registering_is_refused, &one);
	expect_life(count_where_registering_is_refused, &two);
	assert_true(cpu_has_sequences()); /* here */
}

/* --- CPUs that an object has no copy for --- */

#define NEIGHBOURS 600u

static long *neighbours[NEIGHBOURS]; /* they fill more than one chunk */

static void add_on(int cpu)
{
	check(pin_to_cpu((unsigned)cpu), 6);
	for (unsigned i = 0; i < 100; i++) {
		quire_this_cpu_inc(neighbours[0]);
		quire_this_cpu_inc(object);
	}
}

static void check_neighbours(unsigned units)
{
	for (unsigned i = 1; i < NEIGHBOURS; i++)
		for (unsigned cpu = 0; cpu < units; cpu++)
			check(*quire_per_cpu_ptr(neighbours[i], cpu) == 0, 17);
}

static void add_where_units_are_fewer(void *arg)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.units = 1);
	struct quire *q;

	(void)arg;
	check(quire_create(&options, &q) == 0, 8);
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		neighbours[i] = quire_alloc_percpu(q, 4096, 8, 0);
	add_on(here);
	add_on(there);
	add_on(here);
	check(quire_per_cpu_sum(neighbours[0]) == 300, 10);
	check(*neighbours[0] == 300, 11);
	/* An object that has copies for all CPUs keeps each CPU's own. */
	check(quire_per_cpu_sum(object) == 300, 12);
	check(*quire_per_cpu_ptr(object, (unsigned)there) == 100, 13);
	check_neighbours(1);
	quire_destroy(q);
	check(quire_per_cpu_sum(object) == 300, 14);
}

static void cpu_without_a_unit_works_on_another_copy(void **state)
{
	(void)state;
	if (there < 1 || MACHINE_TSAN)
		skip_because("one CPU, or the second is 0; or ThreadSanitizer, which starts no "
			     "threads in a child");
	for (unsigned cpu = 0; cpu < process_cpus_possible(); cpu++)
		*quire_per_cpu_ptr(object, cpu) = 0;
	expect_life(add_where_units_are_fewer, NULL);
}

/* In a program that began on one CPU, and that no file told how many there are. */
static int without_files(char **argv)
{
	struct quire *q = quire_default();

	object = quire_alloc_percpu(q, 4096, 8, 0);
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		neighbours[i] = quire_alloc_percpu(q, 4096, 8, 0);
	check(process_cpus_possible() >= (unsigned)atoi(argv[1]), 7);
	add_on(atoi(argv[2]));
	check(quire_per_cpu_sum(neighbours[0]) == 100, 10);
	check(*quire_per_cpu_ptr(neighbours[0], (unsigned)atoi(argv[2])) == 100, 11);
	check_neighbours(quire_percpu_units(q));
	return 0;
}

static void hide_files_and_begin_again(void *arg)
{
	unsigned possible = *(unsigned *)arg;
	int self = open("/proc/self/exe", O_RDONLY);
	char argument[2][16];
	char *const argv[] = { "percpu_fallback_test", argument[0], argument[1], NULL };

	snprintf(argument[0], sizeof(argument[0]), "%u", possible);
	snprintf(argument[1], sizeof(argument[1]), "%d", there);
	check(self >= 0 && pin_to_cpu((unsigned)here), 6);
	if (!confine_hide("/sys") || !confine_hide("/proc")) {
		printf("[          ] no mount namespace here: files are not hidden\n");
		return;
	}
	fexecve(self, argv, environ);
	_exit(18);
}

static void cpus_are_counted_without_files(void **state)
{
	unsigned possible = process_cpus_possible();

	(void)state;
	if (there < 1 || MACHINE_ASAN)
		skip_because("one CPU, or the second is 0; or AddressSanitizer's search for leaks, "
			     "which needs /proc");
	expect_life(hide_files_and_begin_again, &possible);
}

/* --- a fence that is refused after it was granted --- */

/* A reference that is switched needs one wherever there are sequences. */
static void switch_without_fences(void *arg)
{
	struct quire_percpu_ref ref;

	(void)arg;
	check(quire_percpu_ref_init(quire_default(), &ref, note_release, 0) == 0, 8);
	confine_deny(SYS_membarrier, EPERM);
	quire_percpu_ref_kill(&ref);
}

static void refused_fence_is_named(void **state)
{
	(void)state;
	if (!cpu_has_sequences())
		skip_because("no per-CPU sequences here");
	expect_death(
		switch_without_fences, NULL,
		"quire: the system refuses membarrier(2), which it granted at the start: error 1;");
}

static int make_object(void **state)
{
	(void)state;
	here = allowed_cpu_next(0);
	there = allowed_cpu_next((unsigned)here + 1);
	object = quire_alloc_percpu(quire_default(), sizeof(*object), 0, 0);
	return object == NULL ? -1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thread_without_a_number_is_moved_from_outside),
		cmocka_unit_test(handler_adds_on_a_thread_without_a_number),
		cmocka_unit_test(refused_registration_ends_sequences),
		cmocka_unit_test(cpu_without_a_unit_works_on_another_copy),
		cmocka_unit_test(cpus_are_counted_without_files),
		cmocka_unit_test(refused_fence_is_named),
	};

	if (argc == 3)
		return without_files(argv);
	return cmocka_run_group_tests_name("percpu_fallback", tests, make_object, NULL);
}
