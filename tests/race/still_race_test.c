/* SPDX-License-Identifier: MIT */
/* The worker moves and gives back what threads left that have ended; nobody is told otherwise. */
#include "quire_test.h"

#include <pthread.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#define THREADS_NR 2u
#define AREAS_NR   8192u
#define OBJECTS_NR 512u
#define ROUNDS	   60u

static struct quire *q;

static void *leaves_work(void *arg)
{
	void **area = calloc(AREAS_NR, sizeof(*area)), *object[OBJECTS_NR];
	size_t page = quire_page_bytes(q);

	(void)arg;
	/* The first thread asserts; here there is no jump buffer to do it with. */
	if (area == NULL)
		return NULL;
	for (unsigned i = 0; i < AREAS_NR; i++)
		area[i] = quire_vmalloc(q, page, 0);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		object[i] = quire_alloc_percpu(q, 256, 0, 0);
	for (unsigned i = 0; i < AREAS_NR; i += 2)
		quire_vfree(q, area[i]);
	for (unsigned i = 1; i < AREAS_NR; i += 2)
		quire_vfree(q, area[i]);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		quire_free_percpu(q, object[i]);
	free(area);
	return q;
}

/* All threads but the worker have ended. */
static void check_still(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(quire_verify(q), 0);
		assert_int_equal(quire_page_stat_read(q, &stat), 0);
		assert_u64_eq(stat.allocated_pages, 0);
	}
}

static void nothing_is_wrong_while_only_the_worker_runs(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(1) << 30, .decay_ms = 50);

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		pthread_t thread[THREADS_NR];

		for (unsigned i = 0; i < THREADS_NR; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, leaves_work, NULL), 0);
		for (unsigned i = 0; i < THREADS_NR; i++) {
			void *result;

			assert_int_equal(pthread_join(thread[i], &result), 0);
			assert_ptr_equal(result, q);
		}
		check_still();
	}
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_wrong_while_only_the_worker_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
