/* SPDX-License-Identifier: MIT */
/* convert_objects.c - per-CPU objects, areas of the vmalloc space and slab objects: by their address */
#include "record/kernel_convert.h"

#include <errno.h>
#include <string.h>

/* A range this long is the vmalloc space; those of modules and of BPF's code are shorter. */
#define VMALLOC_BYTES_MIN (UINT64_C(16) << 30)

/* FORMAT.md: ranges of areas. */
enum {
	RANGE_VMALLOC,
	RANGE_OTHER
};

/* What an allocation event says. */
struct allocation {
	enum katr_kind kind;
	uint64_t address;
	uint64_t bytes;
	uint64_t values[KATR_CLASS_VALUES_MAX];
	unsigned values_nr;
	uint64_t placement[2];
	unsigned placement_nr;
	bool has_failed;
};

/* Bits 0 and 1 of a class's flags. */
static uint64_t two_flags(bool low, bool high)
{
	return (low ? 1u : 0u) | (high ? 2u : 0u);
}

static void end_object(struct kernel_convert *convert, const struct kernel_event *event,
		       enum katr_kind kind, uint64_t address, bool is_inferred)
{
	struct live_map *map = &convert->objects[kind];
	const struct live_entry *entry = live_map_find(map, address);

	if (entry == NULL)
		return;
	katr_write_free(convert->writer, kernel_convert_moment(convert, event), KATR_FREE,
			is_inferred, entry->id);
	live_counts_free(&convert->counts[kind], entry->bytes, is_inferred);
	live_map_remove(map, address);
}

static void take_alloc(struct kernel_convert *convert, const struct kernel_event *event,
		       const struct allocation *allocation)
{
	struct katr_moment at = kernel_convert_moment(convert, event);
	uint32_t class_index, id;

	if (kernel_convert_is_own(convert, event)) {
		convert->own_nr++;
		return;
	}
	kernel_convert_context(convert, event);
	class_index = katr_writer_class(convert->writer, allocation->kind, allocation->values,
					allocation->values_nr);
	if (allocation->has_failed) {
		katr_write_fail(convert->writer, at, class_index);
		convert->counts[allocation->kind].fails_nr++;
		return;
	}
	end_object(convert, event, allocation->kind, allocation->address, true);
	id = katr_write_alloc(convert->writer, at, class_index, allocation->placement,
			      allocation->placement_nr);
	if (live_map_put(&convert->objects[allocation->kind], allocation->address, id,
			 allocation->bytes) != 0)
		kernel_convert_fail(convert, -ENOMEM);
	live_counts_alloc(&convert->counts[allocation->kind], allocation->bytes);
}

static void take_free(struct kernel_convert *convert, const struct kernel_event *event,
		      enum katr_kind kind)
{
	uint64_t address = event->values[0];

	if (address == 0 && kind == KATR_SLAB)
		return; /* kfree(NULL) */
	if (live_map_find(&convert->objects[kind], address) != NULL) {
		kernel_convert_context(convert, event);
		end_object(convert, event, kind, address, false);
	} else if (!kernel_convert_is_own(convert, event)) {
		convert->counts[kind].unpaired_nr++;
	}
}

/* ---- per-CPU objects -------------------------------------------------------------------------- */

/* The chunk's number, in order of first sight. */
static uint32_t chunk_of(struct kernel_convert *convert, uint64_t base)
{
	const struct live_entry *entry = live_map_find(&convert->chunks, base);

	if (entry != NULL)
		return entry->id;
	if (live_map_put(&convert->chunks, base, convert->chunks_nr, 0) != 0)
		kernel_convert_fail(convert, -ENOMEM);
	return convert->chunks_nr++;
}

static void take_percpu(struct kernel_convert *convert, const struct kernel_event *event)
{
	const uint64_t *values = event->values;
	uint64_t flags = two_flags(values[PERCPU_RESERVED] != 0, values[PERCPU_ATOMIC] != 0);
	struct allocation allocation = {
		.kind = KATR_PERCPU,
		.address = values[PERCPU_PTR],
		.bytes = values[PERCPU_SIZE],
		.values = { values[PERCPU_SIZE], values[PERCPU_ALIGN], values[PERCPU_GFP], flags,
			    values[PERCPU_BYTES],
			    kernel_convert_site(convert, values[PERCPU_SITE]) },
		.values_nr = 6,
		.placement = { chunk_of(convert, values[PERCPU_BASE]), values[PERCPU_OFF] / 4 },
		.placement_nr = 2,
	};

	take_alloc(convert, event, &allocation);
}

static void take_percpu_fail(struct kernel_convert *convert, const struct kernel_event *event)
{
	const uint64_t *values = event->values;
	uint64_t flags = two_flags(values[FAILED_RESERVED] != 0, values[FAILED_ATOMIC] != 0);
	struct allocation allocation = {
		.kind = KATR_PERCPU,
		.values = { values[FAILED_SIZE], values[FAILED_ALIGN], 0, flags },
		.values_nr = 6,
		.has_failed = true,
	};

	take_alloc(convert, event, &allocation);
}

static void take_chunk(struct kernel_convert *convert, const struct kernel_event *event)
{
	uint64_t base = event->values[CHUNK_BASE];
	bool is_made = event->op == KERNEL_PERCPU_CREATE;
	uint64_t number;

	if (is_made)
		live_map_remove(&convert->chunks, base);
	number = chunk_of(convert, base);
	katr_write_kernel_event(convert->writer, kernel_convert_moment(convert, event),
				is_made ? 1 : 2, &number, 1);
	convert->counters[is_made ? COUNT_CHUNKS_CREATED : COUNT_CHUNKS_DESTROYED]++;
	if (!is_made)
		live_map_remove(&convert->chunks, base);
}

/* ---- areas ------------------------------------------------------------------------------------ */

/*
 * What an area is for, by the functions on the stack: those whose names begin so, after their underscores, only pass the
 * request on.
 */
static const struct {
	const char *prefix;
	unsigned use; /* as in FORMAT.md; KATR_AREA_UNKNOWN: any */
} passers[] = {
	{ "trace_event_raw_event_", KATR_AREA_UNKNOWN },
	{ "alloc_vmap_area", KATR_AREA_UNKNOWN },
	{ "get_vm_area", KATR_AREA_UNKNOWN },
	{ "new_vmap_block", KATR_AREA_BLOCK },
	{ "vb_alloc", KATR_AREA_BLOCK },
	{ "vm_map_ram", KATR_AREA_BLOCK },
	{ "vmalloc", KATR_AREA_VMALLOC },
	{ "vzalloc", KATR_AREA_VMALLOC },
	{ "kvmalloc", KATR_AREA_VMALLOC },
	{ "kvzalloc", KATR_AREA_VMALLOC },
	{ "bpf_map_area_alloc", KATR_AREA_VMALLOC },
	{ "execmem_", KATR_AREA_VMALLOC },
	{ "module_alloc", KATR_AREA_VMALLOC },
	{ "vmap", KATR_AREA_VMAP },
	{ "ioremap", KATR_AREA_IOREMAP },
	{ "generic_ioremap", KATR_AREA_IOREMAP },
	{ "memremap", KATR_AREA_IOREMAP },
	{ "arch_memremap", KATR_AREA_IOREMAP },
};
#define PASSERS_NR (sizeof(passers) / sizeof(passers[0]))

static size_t passer_of(const char *name)
{
	size_t i = 0;

	name += strspn(name, "_");
	while (i < PASSERS_NR && strncmp(name, passers[i].prefix, strlen(passers[i].prefix)) != 0)
		i++;
	return i;
}

/* The area's use, and the address of the function that asked for it; 0 if the stack does not tell. */
static unsigned use_of(const struct kernel_convert *convert, const struct kernel_event *event,
		       uint64_t *site)
{
	unsigned use = KATR_AREA_UNKNOWN;

	*site = 0;
	for (uint32_t i = 0; i < event->callers_nr; i++) {
		unsigned long address;
		size_t passer;

		memcpy(&address, event->callers + i * sizeof(address), sizeof(address));
		passer = passer_of(symbols_find(convert->symbols, address));
		if (passer == PASSERS_NR) {
			*site = address;
			break;
		}
		if (use == KATR_AREA_UNKNOWN)
			use = passers[passer].use;
	}
	return use;
}

static void take_area(struct kernel_convert *convert, const struct kernel_event *event)
{
	const uint64_t *values = event->values;
	unsigned shift = convert->writer->page_shift;
	uint64_t range_bytes = values[VMAP_END] - values[VMAP_START];
	bool is_vmalloc = range_bytes >= VMALLOC_BYTES_MIN;
	struct allocation allocation = {
		.kind = KATR_VMAP,
		.address = values[VMAP_ADDR],
		.bytes = values[VMAP_SIZE],
		.values = { values[VMAP_SIZE], values[VMAP_ALIGN],
			    is_vmalloc ? RANGE_VMALLOC : RANGE_OTHER },
		.values_nr = 5,
		.has_failed = values[VMAP_FAILED] != 0,
	};
	uint64_t site;

	allocation.values[3] = use_of(convert, event, &site);
	allocation.values[4] = kernel_convert_site(convert, site);
	if (!allocation.has_failed && !kernel_convert_is_own(convert, event)) {
		int64_t page = (int64_t)((values[VMAP_ADDR] - values[VMAP_START]) >> shift);

		if (range_bytes >> shift > convert->vmap_pages)
			convert->vmap_pages = range_bytes >> shift;
		allocation.placement[0] = katr_zigzag(page - convert->vmap_last);
		allocation.placement_nr = 1;
		convert->vmap_last = page;
	}
	take_alloc(convert, event, &allocation);
}

static void take_purge(struct kernel_convert *convert, const struct kernel_event *event)
{
	uint64_t start = event->values[PURGE_START], end = event->values[PURGE_END];
	uint64_t values[] = { event->values[PURGE_NR],
			      end > start ? (end - start) >> convert->writer->page_shift : 0 };

	katr_write_kernel_event(convert->writer, kernel_convert_moment(convert, event), 3, values,
				2);
	convert->counters[COUNT_PURGES]++;
	convert->counters[COUNT_PURGED_AREAS] += values[0];
}

/* ---- slab objects ----------------------------------------------------------------------------- */

static void take_slab(struct kernel_convert *convert, const struct kernel_event *event)
{
	const uint64_t *values = event->values;
	bool is_cache = event->op == KERNEL_CACHE_ALLOC;
	char cache[64] = "";
	struct allocation allocation = {
		.kind = KATR_SLAB,
		.address = values[SLAB_PTR],
		.bytes = values[SLAB_ROOM],
		.values = { values[SLAB_BYTES], values[SLAB_ROOM], values[SLAB_GFP],
			    two_flags(is_cache, values[SLAB_ACCOUNTED] != 0),
			    katr_zigzag((int64_t)values[SLAB_NODE]) },
		.values_nr = 7,
		.has_failed = values[SLAB_PTR] == 0,
	};

	if (is_cache)
		kernel_event_text(convert->formats, event, SLAB_CACHE, cache, sizeof(cache));
	allocation.values[5] = katr_writer_string(convert->writer, cache);
	allocation.values[6] = kernel_convert_site(convert, values[SLAB_SITE]);
	take_alloc(convert, event, &allocation);
}

void kernel_convert_object(struct kernel_convert *convert, const struct kernel_event *event)
{
	switch (event->op) {
	case KERNEL_PERCPU_ALLOC:
		take_percpu(convert, event);
		break;
	case KERNEL_PERCPU_FREE:
		take_free(convert, event, KATR_PERCPU);
		break;
	case KERNEL_PERCPU_FAIL:
		take_percpu_fail(convert, event);
		break;
	case KERNEL_PERCPU_CREATE:
	case KERNEL_PERCPU_DESTROY:
		take_chunk(convert, event);
		break;
	case KERNEL_VMAP_ALLOC:
		take_area(convert, event);
		break;
	case KERNEL_VMAP_FREE:
		take_free(convert, event, KATR_VMAP);
		break;
	case KERNEL_VMAP_PURGE:
		take_purge(convert, event);
		break;
	case KERNEL_KFREE:
	case KERNEL_CACHE_FREE:
		take_free(convert, event, KATR_SLAB);
		break;
	default:
		take_slab(convert, event);
	}
}
