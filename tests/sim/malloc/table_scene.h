/* SPDX-License-Identifier: MIT */
/* table_scene.h - a table of malloc's classes, with the slabs that it names, for scenarios without a heap */
#ifndef TESTS_SIM_MALLOC_TABLE_SCENE_H
#define TESTS_SIM_MALLOC_TABLE_SCENE_H

#include <quire/quire.h>

#include "instance/instance.h"
#include "machine/sim/sim.h"
#include "malloc/table.h"
#include "slab/class.h"
#include "slab/objects.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

/* Of an instance of their own, which has malloc's classes. */
static inline struct slabs *table_scene_slabs(void)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .worker = QUIRE_WORKER_OFF);
	struct quire *q;
	struct slabs *s;
	int error = 0;

	check_u64_eq(quire_create(&options, &q), 0);
	s = slabs_get(q, &error);
	SIM_CHECK(s != NULL);
	class_reserve(s, MALLOC_CLASSES_NR);
	sim_name(s, sizeof(*s), "slabs");
	return s;
}

/* @all: as in malloc_table_fill(). */
static inline uint8_t *table_scene_table(struct sim *sim, bool all)
{
	uint8_t *table = sim_zalloc(sim, TABLE_ENTRIES);

	malloc_table_fill(table, all);
	sim_name(table, TABLE_ENTRIES, "table");
	return table;
}

/* The table is as it was filled, but that the places of class @old up to @last have class @now. */
static inline void table_scene_check(const uint8_t *table, bool all, unsigned old, size_t last,
				     unsigned now)
{
	uint8_t first[TABLE_ENTRIES];

	malloc_table_fill(first, all);
	for (size_t place = 0; place < TABLE_ENTRIES; place++)
		check_u64_eq(table[place],
			     first[place] == old && place <= last ? now : first[place]);
}

/* Objects that are neither free nor in a sheaf. */
static inline uint64_t table_scene_used(struct slabs *s, unsigned class)
{
	struct objects_count count;

	objects_count(s, class, &count);
	return count.objects - count.free - sheaves_count(s, class);
}

#endif
