/* SPDX-License-Identifier: MIT */
/*
 * percpu_start_test.c - libraries that inlined sequences come and go
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
#include <time.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/cpu.h"
#include "machine/process.h"

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
		assert_u64_eq(quire_this_cpu_sum_bytes(visit.ptr, 8), turn * 2 * 2 * ROUNDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_library_leaves_nothing_armed),
	};

	return cmocka_run_group_tests_name("percpu_start", tests, NULL, NULL);
}
