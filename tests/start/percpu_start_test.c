/* SPDX-License-Identifier: MIT */
/*
 * percpu_start_test.c - libraries that have variables, inlined sequences or Quire itself come and go
 *
 * Method   A thread runs sequences of a library that was opened, and stops outside of it.  The
 *          library is closed, which unmaps its descriptors.  Then the thread is preempted often: if
 *          its rseq_cs still named a descriptor, the kernel would read it, and end the process.
 */
#include "quire_test.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/cpu.h"
#include "machine/process.h"

#include <quire/percpu.h>
#define QUIRE_PERCPU_OPS_NO_INLINE
#include <quire/percpu_ops.h>

#define ROUNDS 1000u
#define TURNS  8u

typedef uint64_t (*add_function)(uint64_t *ptr, unsigned rounds);

struct visit {
	uint64_t *ptr;
	uint32_t step; /* atomic: 1 the library's code has been run, 2 it is closed */
	add_function add;
};

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

static void *run_and_stay(void *arg)
{
	struct visit *visit = arg;

	(void)visit->add(visit->ptr, ROUNDS);
	store_release(&visit->step, 1);
	while (load_acquire(&visit->step) != 2)
		; /* in user space: so that it is preempted there, and not in a system call */
	for (unsigned i = 0; i < 20; i++)
		nap();
	return NULL;
}

static bool is_mapped(const void *addr)
{
	unsigned char vector;
	uintptr_t page = (uintptr_t)addr & ~(uintptr_t)(getpagesize() - 1);

	return mincore((void *)page, 1, &vector) == 0;
}

static void closed_library_leaves_nothing_armed(void **state)
{
	struct visit visit = { .ptr = mmap(NULL, process_cpus_possible() * QUIRE_PERCPU_STRIDE,
					   PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) };

	(void)state;
	assert_ptr_not_equal(visit.ptr, MAP_FAILED);
	for (unsigned turn = 1; turn <= TURNS; turn++) {
		void *library = dlopen(getenv("QUIRE_PLUGIN"), RTLD_NOW | RTLD_LOCAL);
		pthread_t thread;

		if (library == NULL)
			fail_msg("%s", dlerror());
		*(void **)&visit.add = dlsym(library, "plugin_add");
		assert_non_null(visit.add);
		visit.step = 0;
		assert_int_equal(pthread_create(&thread, NULL, run_and_stay, &visit), 0);
		while (load_acquire(&visit.step) != 1)
			nap();
		(void)visit.add(visit.ptr, ROUNDS);
		assert_int_equal(dlclose(library), 0);
		assert_false(is_mapped(*(void **)&visit.add));
		for (unsigned i = 0; i < 20; i++)
			nap();
		store_release(&visit.step, 2);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_u64_eq(quire_per_cpu_sum_bytes(visit.ptr, 8), turn * 2 * 2 * ROUNDS);
	}
}

/* ---- variables ----------------------------------------------------------------------------------- */

static long (*plugin_count(void *library))(void)
{
	long (*count)(void);

	if (library == NULL)
		fail_msg("%s", dlerror());
	*(void **)&count = dlsym(library, "plugin_count");
	assert_non_null(count);
	return count;
}

static void *plugin_open(const char *variable)
{
	return dlopen(getenv(variable), RTLD_NOW | RTLD_LOCAL);
}

/* What libraries share is not the copy of Quire that this program contains. */
static void *shared_call(const char *name)
{
	void *library = dlopen("libquire.so.0", RTLD_NOW | RTLD_NOLOAD);

	assert_non_null(library);
	return dlsym(library, name);
}

static uint64_t shared_objects_nr(void)
{
	int (*stat_read)(const struct quire *q, struct quire_percpu_stat *stat);
	struct quire *(*get_default)(void);
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;

	*(void **)&stat_read = shared_call("quire_percpu_stat_read");
	*(void **)&get_default = shared_call("quire_default");
	assert_int_equal(stat_read(get_default(), &stat), 0);
	return stat.objects;
}

static void shared_shrink(void)
{
	struct quire *(*get_default)(void);
	size_t (*shrink)(struct quire * q);
	int (*verify)(const struct quire *q);

	*(void **)&get_default = shared_call("quire_default");
	*(void **)&shrink = shared_call("quire_percpu_shrink");
	*(void **)&verify = shared_call("quire_verify");
	(void)shrink(get_default());
	assert_int_equal(verify(get_default()), 0);
}

static void closed_library_gives_its_variables_back(void **state)
{
	uint64_t open = 0;

	(void)state;
	for (unsigned turn = 0; turn < 100; turn++) {
		void *library = plugin_open("QUIRE_VARIABLES_PLUGIN");
		long (*count)(void) = plugin_count(library);

		assert_int_equal(count(), 3 * (long)process_cpus_possible() + 1);
		/* The definition took in what the one before had left. */
		if (turn == 0)
			open = shared_objects_nr();
		assert_u64_eq(shared_objects_nr(), open);
		assert_int_equal(dlclose(library), 0);
		assert_false(is_mapped(*(void **)&count));
	}
	shared_shrink();
	assert_u64_eq(open - shared_objects_nr(), 1);
}

/* Something is unloaded, but not what has the variable: it stays. */
static void variables_of_open_libraries_stay_when_others_close(void **state)
{
	void *library = plugin_open("QUIRE_VARIABLES_PLUGIN");
	long (*count)(void) = plugin_count(library);
	long first = count();

	(void)state;
	assert_int_equal(dlclose(dlopen(getenv("QUIRE_PLUGIN"), RTLD_NOW | RTLD_LOCAL)), 0);
	shared_shrink();
	assert_int_equal(count(), first + 1);
	assert_int_equal(dlclose(library), 0);
}

/* An instance is in it, whose worker and whose fork handlers run its code. */
static void library_that_contains_quire_stays_once_it_was_used(void **state)
{
	long units = 0;
	size_t maps = 0;

	(void)state;
	for (unsigned turn = 0; turn < 10; turn++) {
		void *library = plugin_open("QUIRE_STATIC_PLUGIN");
		long (*count)(void) = plugin_count(library);
		pid_t child;
		int status = 1;

		if (turn == 0)
			units = count() - 1;
		assert_int_equal(count(), units + 2 + turn);
		assert_int_equal(dlclose(library), 0);
		assert_true(is_mapped(*(void **)&count));
		child = fork();
		if (child == 0)
			_exit(0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		maps = turn == 1 ? count_maps() : maps;
	}
	assert_true(count_maps() <= maps);
}

#define DEFINED_NR 30000u

static uint32_t is_over; /* atomic */

static void *open_and_close(void *arg)
{
	while (!load_relaxed(&is_over)) {
		void *library = dlopen(getenv("QUIRE_PLUGIN"), RTLD_NOW);

		if (library == NULL || dlclose(library) != 0)
			store_relaxed(&is_over, 2);
	}
	return arg;
}

static void *collect(void *arg)
{
	while (!load_relaxed(&is_over))
		(void)quire_percpu_shrink(arg);
	return NULL;
}

/* While libraries come and go, whoever collects what they left takes nothing of somebody else's. */
static void variables_stay_that_are_defined_beside_a_collection(void **state)
{
	static void *pointers[DEFINED_NR];
	static const long content = 42;
	struct quire *q = quire_default();
	struct quire_percpu_variable variable =
		QUIRE_PERCPU_VARIABLE_INIT(.content = &content, .bytes = sizeof(content),
					   .align = 8);
	pthread_t closer, collector;
	unsigned lost = 0;

	(void)state;
	assert_int_equal(pthread_create(&closer, NULL, open_and_close, NULL), 0);
	assert_int_equal(pthread_create(&collector, NULL, collect, q), 0);
	for (unsigned i = 0; i < DEFINED_NR; i++) {
		variable.pointer = &pointers[i];
		quire_percpu_define(&variable);
		/* Every second one goes again, beside the same collection. */
		if (i % 2 != 0)
			quire_percpu_undefine(&variable);
	}
	assert_true(load_relaxed(&is_over) == 0);
	store_relaxed(&is_over, 1);
	pthread_join(closer, NULL);
	pthread_join(collector, NULL);
	for (unsigned i = 0; i < DEFINED_NR; i += 2) {
		lost += *(long *)pointers[i] != content || quire_percpu_bytes(q, pointers[i]) == 0;
		variable.pointer = &pointers[i];
		quire_percpu_undefine(&variable);
	}
	assert_u64_eq(lost, 0);
	assert_int_equal(quire_verify(q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_library_leaves_nothing_armed),
		cmocka_unit_test(closed_library_gives_its_variables_back),
		cmocka_unit_test(variables_of_open_libraries_stay_when_others_close),
		cmocka_unit_test(library_that_contains_quire_stays_once_it_was_used),
		cmocka_unit_test(variables_stay_that_are_defined_beside_a_collection),
	};

	return cmocka_run_group_tests_name("percpu_start", tests, NULL, NULL);
}
