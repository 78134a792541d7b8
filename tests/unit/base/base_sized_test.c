/* SPDX-License-Identifier: MIT */
/*
 * Public structs between programs and libraries of different ages.  A program of another age is played
 * by a buffer that holds the struct at its beginning and says a smaller or a larger size.
 */
#include "quire_test.h"

#include <errno.h>
#include <stddef.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "base/sized.h"

/* What follows the last field of a version would be the next version's first field, with any content. */
#define ENDS_WITH(type, field)                                                                     \
	_Static_assert(offsetof(struct type, field) + sizeof(((struct type *)0)->field) ==         \
			       sizeof(struct type),                                                \
		       "no padding at the end of a sized struct")
ENDS_WITH(quire_options, page_poison);
ENDS_WITH(quire_vmalloc_options, end);
ENDS_WITH(quire_vmap_area, asked_bytes);
ENDS_WITH(quire_page_stat, mappings_refused);
ENDS_WITH(quire_vmap_stat, metadata_bytes);
ENDS_WITH(quire_percpu_stat, drains);
ENDS_WITH(quire_stop, reserved);
ENDS_WITH(quire_percpu_request, align);
ENDS_WITH(quire_percpu_variable, align);

/* A struct of three versions: each has one field more. */
struct oldest {
	uint32_t struct_bytes, a;
};
struct middle {
	uint32_t struct_bytes, a;
	uint64_t b;
};
struct newest {
	uint32_t struct_bytes, a;
	uint64_t b, c;
};

#define ROOM_BYTES 1024u

union room {
	uint32_t struct_bytes;
	unsigned char byte[ROOM_BYTES];
	uint64_t aligned;
};

static void reading_gives_an_older_callers_missing_fields_zero(void **state)
{
	const struct oldest theirs = { .struct_bytes = sizeof(theirs), .a = 3 };
	struct middle ours = { .b = 9 };

	(void)state;
	assert_int_equal(sized_read(&ours, sizeof(ours), &theirs), 0);
	assert_u64_eq(ours.struct_bytes, sizeof(ours));
	assert_u64_eq(ours.a, 3);
	assert_u64_eq(ours.b, 0);
}

static void reading_refuses_what_a_newer_caller_asks_for(void **state)
{
	struct newest theirs = { .struct_bytes = sizeof(theirs), .a = 3, .b = 4 };
	struct middle ours = { .b = 9 };

	(void)state;
	assert_int_equal(sized_read(&ours, sizeof(ours), &theirs), 0);
	assert_u64_eq(ours.struct_bytes, sizeof(ours));
	assert_u64_eq(ours.b, 4);
	for (unsigned bit = 0; bit < 64; bit++) {
		theirs.c = (uint64_t)1 << bit;
		assert_int_equal(sized_read(&ours, sizeof(ours), &theirs), -E2BIG);
	}
}

static void sizes_that_are_none_are_refused(void **state)
{
	const uint32_t wrong[] = { 0, 1, 4, 12, SIZED_BYTES_MAX + 8, UINT32_MAX, 1u << 31 };
	struct middle ours = { .struct_bytes = sizeof(ours), .b = 9 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct middle theirs = { .struct_bytes = wrong[i], .b = 7 };

		assert_int_equal(sized_read(&ours, sizeof(ours), &theirs), -EINVAL);
		assert_u64_eq(ours.b, 9);
		assert_int_equal(sized_fill(&theirs, &ours, sizeof(ours)), -EINVAL);
		assert_u64_eq(theirs.b, 7);
		assert_u64_eq(theirs.struct_bytes, wrong[i]);
	}
}

static void filling_reaches_as_far_as_both(void **state)
{
	const struct middle ours = { .struct_bytes = sizeof(ours), .a = 1, .b = 2 };
	struct newest newer = { .struct_bytes = sizeof(newer), .c = 7 };
	struct middle same = { .struct_bytes = sizeof(same) };
	struct middle older = { .struct_bytes = sizeof(struct oldest), .b = 7 };

	(void)state;
	assert_int_equal(sized_fill(&newer, &ours, sizeof(ours)), 0);
	assert_u64_eq(newer.struct_bytes, sizeof(ours));
	assert_u64_eq(newer.b, 2);
	assert_u64_eq(newer.c, 0);
	assert_int_equal(sized_fill(&same, &ours, sizeof(ours)), 0);
	assert_memory_equal(&same, &ours, sizeof(ours));
	assert_int_equal(sized_fill(&older, &ours, sizeof(ours)), 0);
	assert_u64_eq(older.struct_bytes, sizeof(struct oldest));
	assert_u64_eq(older.a, 1);
	assert_u64_eq(older.b, 7); /* beyond what the caller has */
}

static void returning_refuses_what_the_caller_has_no_room_for(void **state)
{
	struct middle ours = { .struct_bytes = sizeof(ours), .a = 1, .b = 2 };
	struct middle theirs = { .struct_bytes = sizeof(struct oldest), .a = 5, .b = 7 };
	struct newest newer = { .struct_bytes = sizeof(newer) };

	(void)state;
	assert_int_equal(sized_return(&theirs, &ours, sizeof(ours)), -E2BIG);
	assert_u64_eq(theirs.a, 5);
	ours.b = 0;
	assert_int_equal(sized_return(&theirs, &ours, sizeof(ours)), 0);
	assert_u64_eq(theirs.struct_bytes, sizeof(struct oldest));
	assert_u64_eq(theirs.a, 1);
	assert_u64_eq(theirs.b, 7);
	assert_int_equal(sized_return(&newer, &ours, sizeof(ours)), 0);
	assert_u64_eq(newer.struct_bytes, sizeof(newer));
	assert_u64_eq(newer.a, 1);
}

/* ---- the public ones ------------------------------------------------------------------------- */

static int create(const void *theirs)
{
	struct quire *q = NULL;
	int error = quire_create(theirs, &q);

	quire_destroy(q);
	return error;
}

static int parse(const void *theirs)
{
	union room copy;
	char line[256];
	int error;

	memcpy(&copy, theirs, sizeof(copy));
	error = quire_options_parse("slots:3", (void *)&copy, line, sizeof(line));
	if (error == 0)
		assert_u64_eq(copy.struct_bytes, ((const union room *)theirs)->struct_bytes);
	return error;
}

static int place(const void *theirs)
{
	struct quire *q = quire_default();
	void *addr = quire_vmalloc_with(q, 1, theirs);

	quire_vfree(q, addr);
	return addr != NULL ? 0 : -errno;
}

/* No entry is asked for, so that the struct alone decides. */
static int fill_no_entry(const void *theirs)
{
	errno = 0;
	assert_int_equal(quire_alloc_percpu_bulk(quire_default(), theirs, NULL, 0), 0);
	return -errno;
}

/* A struct that is passed: its size, and a call that takes it and returns an error. */
struct passed {
	uint32_t bytes;
	int (*call)(const void *theirs);
};

static const struct passed passed[] = {
	{ .bytes = sizeof(struct quire_options), .call = create },
	{ .bytes = sizeof(struct quire_options), .call = parse },
	{ .bytes = sizeof(struct quire_vmalloc_options), .call = place },
	{ .bytes = sizeof(struct quire_percpu_request), .call = fill_no_entry },
};

static void passed_structs_may_be_of_any_age(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		const struct passed *p = &passed[i];
		union room theirs = { .struct_bytes = 0 };

		assert_int_equal(p->call(&theirs), -EINVAL);
		for (uint32_t bytes = 8; bytes <= ROOM_BYTES; bytes += 8) {
			theirs.struct_bytes = bytes;
			assert_int_equal(p->call(&theirs), 0);
		}
		theirs.byte[p->bytes] = 1;
		theirs.struct_bytes = p->bytes;
		assert_int_equal(p->call(&theirs), 0);
		theirs.struct_bytes = p->bytes + 8;
		assert_int_equal(p->call(&theirs), -E2BIG);
	}
}

static int page_stat(struct quire *q, void *theirs)
{
	return quire_page_stat_read(q, theirs);
}

static int vmap_stat(struct quire *q, void *theirs)
{
	return quire_vmap_stat_read(q, theirs);
}

static int percpu_stat(struct quire *q, void *theirs)
{
	return quire_percpu_stat_read(q, theirs);
}

/* A struct that is filled. */
struct filled {
	uint32_t bytes;
	int (*call)(struct quire *q, void *theirs);
};

static const struct filled filled[] = {
	{ .bytes = sizeof(struct quire_page_stat), .call = page_stat },
	{ .bytes = sizeof(struct quire_vmap_stat), .call = vmap_stat },
	{ .bytes = sizeof(struct quire_percpu_stat), .call = percpu_stat },
};

/* Bytes of @room that are @byte, from the end. */
static uint32_t untouched(const union room *room, unsigned char byte)
{
	uint32_t end = ROOM_BYTES;

	while (end != 0 && room->byte[end - 1] == byte)
		end--;
	return ROOM_BYTES - end;
}

static void filled_structs_may_be_of_any_age(void **state)
{
	struct quire *q = quire_default();

	(void)state;
	for (size_t i = 0; i < sizeof(filled) / sizeof(filled[0]); i++) {
		for (uint32_t bytes = 0; bytes <= ROOM_BYTES; bytes += 8) {
			union room theirs;

			memset(&theirs, 0xa5, sizeof(theirs));
			theirs.struct_bytes = bytes;
			assert_int_equal(filled[i].call(q, &theirs), bytes == 0 ? -EINVAL : 0);
			if (bytes == 0)
				continue;
			assert_u64_eq(theirs.struct_bytes,
				      bytes < filled[i].bytes ? bytes : filled[i].bytes);
			assert_u64_eq(untouched(&theirs, 0xa5), ROOM_BYTES - bytes);
			for (uint32_t at = filled[i].bytes; at < bytes; at++)
				assert_u64_eq(theirs.byte[at], 0);
		}
	}
}

/* An older program's struct has no room for a key that only the library knows. */
static void a_key_without_a_field_is_refused(void **state)
{
	struct quire_options options = { .struct_bytes = offsetof(struct quire_options, zones) };
	char line[256] = "";

	(void)state;
	assert_int_equal(quire_options_parse("slots:2", &options, line, sizeof(line)), 0);
	assert_int_equal(quire_options_parse("zones:2", &options, line, sizeof(line)), -E2BIG);
	assert_non_null(strstr(line, "versions"));
	assert_u64_eq(options.slots, 2);
	assert_u64_eq(options.zones, 0);
}

static bool see(const struct quire_vmap_area *area, void *arg)
{
	*(uint32_t *)arg = area->struct_bytes;
	return false;
}

static void a_walk_says_what_it_shows(void **state)
{
	struct quire *q = quire_default();
	void *addr = quire_vmalloc(q, 1, 0);
	uint32_t bytes = 0;

	(void)state;
	assert_u64_eq(quire_vmap_walk(q, see, &bytes), 1);
	assert_u64_eq(bytes, sizeof(struct quire_vmap_area));
	quire_vfree(q, addr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_gives_an_older_callers_missing_fields_zero),
		cmocka_unit_test(reading_refuses_what_a_newer_caller_asks_for),
		cmocka_unit_test(sizes_that_are_none_are_refused),
		cmocka_unit_test(filling_reaches_as_far_as_both),
		cmocka_unit_test(returning_refuses_what_the_caller_has_no_room_for),
		cmocka_unit_test(passed_structs_may_be_of_any_age),
		cmocka_unit_test(filled_structs_may_be_of_any_age),
		cmocka_unit_test(a_key_without_a_field_is_refused),
		cmocka_unit_test(a_walk_says_what_it_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
