/* SPDX-License-Identifier: MIT */
/* Objects out of slabs and back: apart, aligned, from the fullest slab; slabs that are empty leave. */
#include "unit/slab/slab_case.h"

static struct slab_case it;

static int begin(void **state)
{
	(void)state;
	it = case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256),
								  .worker = QUIRE_WORKER_OFF));
	return 0;
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

/* Fills each of several slabs of every size with its number, and reads all of them afterwards. */
static void objects_of_every_size_are_apart_and_aligned(void **state)
{
	(void)state;
	for (uint32_t size = 16; size <= OBJECT_BYTES_MAX;
	     size += size < 1024 ? 16 : size / 16 / 16 * 16) {
		unsigned class = case_class(&it, size);
		uint32_t n = 2 * it.s->class[class].per_slab + 3;
		uint32_t *entries = malloc(n * sizeof(*entries));

		case_take(&it, class, entries, n);
		for (uint32_t i = 0; i < n; i++) {
			char *object = entry_addr(it.s, entries[i]);

			assert_u64_eq((uintptr_t)object % (size & -size), 0);
			assert_int_equal(objects_check(it.s, object, "test"), class);
			for (uint32_t b = 0; b < size; b += 4)
				memcpy(object + b, &i, 4);
		}
		for (uint32_t i = 0; i < n; i++) {
			const char *object = entry_addr(it.s, entries[i]);

			assert_memory_equal(object, &i, 4);
			assert_memory_equal(object, object + 4, size - 4);
		}
		case_verify(&it, class);
		assert_int_equal(objects_give(it.s, class, entries, n, 0), n);
		case_verify(&it, class);
		mutex_acquire(&it.s->mutex);
		class_put_locked(it.s, class);
		mutex_release(&it.s->mutex);
		free(entries);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(objects_of_every_size_are_apart_and_aligned, begin,
						end),
	};

	return cmocka_run_group_tests_name("slab_objects", tests, NULL, NULL);
}
