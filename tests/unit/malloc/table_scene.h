/* SPDX-License-Identifier: MIT */
/* table_scene.h - a table of malloc's classes, with the slabs that it names, but no heap */
#ifndef TESTS_UNIT_MALLOC_TABLE_SCENE_H
#define TESTS_UNIT_MALLOC_TABLE_SCENE_H

#include "quire_test.h"

#include "instance/instance.h"
#include "malloc/table.h"
#include "slab/class.h"
#include "slab/slab.h"

struct table_scene {
	struct quire *q;
	struct slabs *s;
	uint8_t table[TABLE_ENTRIES];
};

/* @all: as in malloc_table_fill(). */
static inline void table_scene_begin(struct table_scene *scene, bool all)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF);
	int error = 0;

	assert_int_equal(quire_create(&options, &scene->q), 0);
	scene->s = slabs_get(scene->q, &error);
	assert_non_null(scene->s);
	class_reserve(scene->s, MALLOC_CLASSES_NR);
	malloc_table_fill(scene->table, all);
}

static inline unsigned table_scene_class(const struct table_scene *scene, size_t bytes)
{
	return scene->table[table_place(bytes)];
}

/* Each place has the smallest class that is large enough, of those that are in the table: its stretch ends at its size. */
static inline void table_scene_check(const struct table_scene *scene)
{
	size_t place = 1;

	assert_int_equal(scene->table[0], scene->table[1]);
	while (place < TABLE_ENTRIES) {
		unsigned class = scene->table[place];
		size_t last = (class <= MALLOC_CLASSES_NR ? malloc_table_bytes(class)
							  : scene->s->class[class].size) /
			      MALLOC_ALIGN;

		assert_true(last >= place && last < TABLE_ENTRIES);
		for (; place <= last; place++)
			assert_int_equal(scene->table[place], class);
	}
	assert_u64_eq(place, TABLE_ENTRIES);
}

#endif
