/* SPDX-License-Identifier: MIT */
/*
 * katr_objects.c - the records that make and end ids: ALLOC, FREE, FREE_BATCHED, SPLIT
 */
#include "trace/katr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define PFN_MAX (OCCUPANCY_PAGES_MAX - 1)

static bool has_placement(const struct katr_reader *reader, unsigned kind)
{
	return (reader->params.place >> kind & 1) != 0;
}

static enum occupancy_type type_of_class(const struct katr_class *class)
{
	switch (class->migratetype) {
	case 1:
		return OCCUPANCY_MOVABLE;
	case 2:
		return OCCUPANCY_RECLAIMABLE;
	default:
		return OCCUPANCY_UNMOVABLE;
	}
}

static struct occupancy_run run_of(const struct katr_reader *reader,
				   const struct katr_object *object)
{
	return (struct occupancy_run){
		.page = object->pfn,
		.order = object->order,
		.type = type_of_class(&reader->classes[object->class_index]),
	};
}

/* Room for @more ids: 0, or -1 with the error set. */
static int grow_objects(struct katr_reader *reader, uint32_t more)
{
	uint64_t wanted = (uint64_t)reader->ids_nr + more;
	uint64_t room = reader->objects_room;
	struct katr_object *objects;

	if (wanted > reader->params.ids_nr) {
		katr_fail(reader, "more ids than the %" PRIu64 " of the header",
			  reader->params.ids_nr);
		return -1;
	}
	if (wanted <= room)
		return 0;
	room = room * 2 > wanted ? room * 2 : wanted + 1024;
	if (room > UINT32_MAX)
		room = UINT32_MAX;
	objects = realloc(reader->objects, room * sizeof(objects[0]));
	if (objects == NULL) {
		katr_fail_no_memory(&reader->error, reader->record_offset);
		return -1;
	}
	reader->objects = objects;
	reader->objects_room = (uint32_t)room;
	return 0;
}

/* The id that a free or split names by its age; UINT32_MAX if that is none that lives. */
static uint32_t read_live_id(struct katr_reader *reader, const char *who)
{
	uint64_t age = katr_read_varint(&reader->input);
	uint32_t id;

	if (reader->error.failed)
		return UINT32_MAX;
	if (age >= reader->ids_nr) {
		katr_fail(reader, "%s names an id that was never given", who);
		return UINT32_MAX;
	}
	id = reader->ids_nr - 1 - (uint32_t)age;
	if (!reader->objects[id].live) {
		katr_fail(reader, "%s names an id that is not live: %" PRIu32, who, id);
		return UINT32_MAX;
	}
	return id;
}

/* ---- ops --------------------------------------------------------------------------------- */

static void place_page(struct katr_reader *reader, struct katr_object *object)
{
	uint64_t delta = (uint64_t)katr_unzigzag(katr_read_varint(&reader->input));
	uint64_t pfn = reader->last_pfn[reader->cpu] + delta;

	if (reader->error.failed)
		return;
	if (pfn > PFN_MAX) {
		katr_fail(reader, "a page frame number is out of range");
		return;
	}
	reader->last_pfn[reader->cpu] = pfn;
	object->pfn = (uint32_t)pfn;
	switch (occupancy_add(&reader->pages, run_of(reader, object))) {
	case 0:
		break;
	case -EEXIST:
		katr_fail(reader, "page frame 0x%" PRIx64 " order %u overlaps a live allocation",
			  pfn, object->order);
		break;
	case -ENOMEM:
		katr_fail_no_memory(&reader->error, reader->record_offset);
		break;
	default:
		katr_fail(reader, "page frame 0x%" PRIx64 " is not aligned to order %u", pfn,
			  object->order);
	}
}

static void place_object(struct katr_reader *reader, struct katr_object *object,
			 struct katr_record *record)
{
	const struct katr_class *class = &reader->classes[object->class_index];
	uint64_t offset;

	switch (class->kind) {
	case KATR_PAGE:
		place_page(reader, object);
		record->place = object->pfn;
		break;
	case KATR_PERCPU:
		record->place = katr_read_varint(&reader->input);
		offset = katr_read_varint(&reader->input);
		if (offset > UINT32_MAX || offset * 4 % class->align_bytes != 0)
			katr_fail(reader, "a percpu offset is out of range or not aligned");
		record->place_offset = offset * 4;
		break;
	case KATR_VMAP:
		offset = katr_read_varint(&reader->input);
		reader->vmap_last =
			(int64_t)((uint64_t)reader->vmap_last + (uint64_t)katr_unzigzag(offset));
		record->place = (uint64_t)reader->vmap_last;
		if (reader->params.vmalloc_pages > 0 &&
		    (uint64_t)reader->vmap_last >= reader->params.vmalloc_pages)
			katr_fail(reader, "an area lies outside the vmalloc space");
		break;
	default:
		katr_fail(reader, "a slab allocation has a placement");
	}
}

void katr_read_alloc(struct katr_reader *reader, struct katr_record *record)
{
	struct katr_object *object;
	struct katr_class *class;

	record->class_index = katr_read_class(reader);
	if (reader->error.failed || grow_objects(reader, 1) != 0)
		return;
	class = &reader->classes[record->class_index];
	object = &reader->objects[reader->ids_nr];
	*object = (struct katr_object){ .class_index = record->class_index, .order = class->order };
	if ((reader->params.kinds >> class->kind & 1) == 0)
		katr_fail(reader, "a %s allocation, which the header excludes",
			  katr_kind_name(class->kind));
	record->place = KATR_PLACE_NONE;
	if (has_placement(reader, class->kind))
		place_object(reader, object, record);
	if (reader->error.failed)
		return;
	object->live = true;
	record->id = reader->ids_nr++;
	record->order = object->order;
	class->used++;
	reader->totals.live_nr++;
	reader->totals.live_bytes[class->kind] += class->size_bytes;
}

/* Ends an object; its bytes leave the account. */
static void end_object(struct katr_reader *reader, struct katr_object *object, uint64_t bytes)
{
	const struct katr_class *class = &reader->classes[object->class_index];

	object->live = false;
	reader->totals.live_nr--;
	reader->totals.live_bytes[class->kind] -= bytes;
}

static uint64_t object_bytes(const struct katr_reader *reader, const struct katr_object *object)
{
	const struct katr_class *class = &reader->classes[object->class_index];

	if (class->kind == KATR_PAGE)
		return (uint64_t)1 << (reader->params.page_shift + object->order);
	return class->size_bytes;
}

void katr_read_free(struct katr_reader *reader, struct katr_record *record)
{
	uint32_t id = read_live_id(reader, "free");
	struct katr_object *object;
	unsigned kind;

	if (id == UINT32_MAX)
		return;
	object = &reader->objects[id];
	kind = reader->classes[object->class_index].kind;
	if (record->op == KATR_FREE_BATCHED && kind != KATR_PAGE) {
		katr_fail(reader, "a batched free of a %s allocation", katr_kind_name(kind));
		return;
	}
	if (kind == KATR_PAGE && has_placement(reader, kind))
		occupancy_remove(&reader->pages, run_of(reader, object));
	end_object(reader, object, object_bytes(reader, object));
	record->id = id;
	record->class_index = object->class_index;
	record->order = object->order;
}

/* The pieces stay where the block was, so the kernel's occupancy does not change. */
static void make_pieces(struct katr_reader *reader, struct katr_object whole, unsigned new_order)
{
	uint32_t pieces_nr = 1u << (whole.order - new_order);

	for (uint32_t i = 0; i < pieces_nr; i++) {
		reader->objects[reader->ids_nr++] = (struct katr_object){
			.class_index = whole.class_index,
			.pfn = whole.pfn + (i << new_order),
			.order = (uint8_t)new_order,
			.live = true,
		};
	}
	reader->totals.live_nr += pieces_nr;
	reader->totals.live_bytes[KATR_PAGE] += (uint64_t)1
						<< (reader->params.page_shift + whole.order);
}

void katr_read_split(struct katr_reader *reader, struct katr_record *record)
{
	uint32_t id = read_live_id(reader, "split");
	uint64_t new_order = katr_read_varint(&reader->input);
	struct katr_object whole;

	if (reader->error.failed)
		return;
	whole = reader->objects[id];
	if (reader->classes[whole.class_index].kind != KATR_PAGE || new_order >= whole.order) {
		katr_fail(reader, "a split of order %u into order %" PRIu64, whole.order,
			  new_order);
		return;
	}
	if (grow_objects(reader, 1u << (whole.order - new_order)) != 0)
		return;
	record->id = id;
	record->class_index = whole.class_index;
	record->order = whole.order;
	record->new_order = (uint8_t)new_order;
	record->first_id = reader->ids_nr;
	end_object(reader, &reader->objects[id], object_bytes(reader, &whole));
	make_pieces(reader, whole, (unsigned)new_order);
}
