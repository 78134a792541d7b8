/* SPDX-License-Identifier: MIT */
#include "run/figures.h"

#include <fcntl.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "run/resident.h"

/* ---- one part -------------------------------------------------------------------------------- */

static unsigned shards_nr(const struct report_part *part)
{
	uint32_t cpus = load_relaxed(&part->cpus_nr);

	return cpus < REPORT_SHARDS_NR ? cpus : REPORT_SHARDS_NR;
}

static void rows_add(struct rows *sum, const struct rows *rows)
{
	sum->bytes += rows->bytes;
	for (unsigned row = 0; row < REPORT_ROWS_NR; row++)
		sum->row_bytes[row] += rows->row_bytes[row];
}

static void rows_read(const struct report_part *part, struct rows *rows)
{
	*rows = (struct rows){ .bytes = 0 };
	for (unsigned i = 0; i < shards_nr(part); i++)
		for (unsigned row = 0; row < REPORT_ROWS_NR; row++)
			rows->row_bytes[row] += load_relaxed(&part->shard[i].row_bytes[row]);
	for (unsigned row = 0; row < REPORT_ROWS_NR; row++)
		rows->bytes += rows->row_bytes[row];
}

/* The rows at the peak: those that were copied at it; or as they are, if it was not left by much since. */
static void peak_read(const struct report_part *part, const struct rows *used, struct rows *peak)
{
	uint32_t idx = load_acquire(&part->peak_idx); /* pairs with the store after the copy */
	int64_t bytes = load_relaxed(&part->peak_bytes);

	*peak = *used;
	if (bytes > used->bytes && bytes == load_relaxed(&part->peak_rows_bytes))
		for (unsigned row = 0; row < REPORT_ROWS_NR; row++)
			peak->row_bytes[row] = load_relaxed(&part->peak_rows[idx & 1][row]);
	if (bytes > peak->bytes)
		peak->bytes = bytes;
}

static void peak_offer(struct rows *peak, const struct rows *rows)
{
	if (rows->bytes > peak->bytes)
		*peak = *rows;
}

/* Adds a part to the sums, and offers its peak. */
static void add_part(struct figures *figures, const struct report_part *part)
{
	struct rows used, peak;

	rows_read(part, &used);
	peak_read(part, &used, &peak);
	peak_offer(&figures->peak, &peak);
	rows_add(&figures->used, &used);
	for (unsigned i = 0; i < shards_nr(part); i++) {
		figures->calls_nr += load_relaxed(&part->shard[i].calls_nr);
		figures->slow_nr += load_relaxed(&part->shard[i].slow_nr);
	}
	figures->given_back_bytes += load_relaxed(&part->given_back_bytes);
	for (unsigned class = 0; class < REPORT_CLASSES_NR; class ++) {
		uint32_t bytes = load_relaxed(&part->class_bytes[class]);

		if (bytes != 0)
			figures->class_bytes[class] = bytes;
	}
}

/* ---- all parts ------------------------------------------------------------------------------- */

static bool is_begun(const struct report_owner *owner)
{
	/* Pairs with the library's addition, after everything else was written. */
	return load_relaxed(&owner->who) != 0 && load_acquire(&owner->images_nr) != 0;
}

/* A process has ended: keeps what it counted, and lets another one take its part. */
static void take_back(struct collector *collector, unsigned idx)
{
	struct report_owner *owner = &collector->preload->header->owner[idx];
	struct rows none = { .bytes = 0 };

	add_part(&collector->ended, preload_part(collector->preload, idx));
	collector->ended.used = none;
	collector->ended.processes_nr++;
	(void)fallocate(collector->preload->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)report_part_offset(idx), REPORT_PART_BYTES);
	store_relaxed(&owner->images_nr, 0u);
	store_release(&owner->who, 0u); /* pairs with the next one's compare-and-swap */
}

/* What the live processes hold now, and how much of it is resident. */
static void look(struct collector *collector, struct rows *used, struct resident *resident)
{
	const struct report_header *header = collector->preload->header;

	for (unsigned idx = 0; idx < header->parts_nr; idx++) {
		const struct report_owner *owner = &header->owner[idx];
		struct resident one;
		struct rows rows;

		if (!is_begun(owner))
			continue;
		if (idx != 0) { /* the program's own was read already */
			if (!resident_read_owner(load_relaxed(&owner->who), &one)) {
				take_back(collector, idx);
				continue;
			}
			resident->bytes += one.bytes;
		}
		rows_read(preload_part(collector->preload, idx), &rows);
		rows_add(used, &rows);
	}
}

void collector_begin(struct collector *collector, const struct preload *preload)
{
	struct resident own;

	*collector = (struct collector){ .preload = preload };
	collector->identity.owner = &preload->header->owner[0];
	if (resident_read(getpid(), &own))
		collector->own_bytes = own.peak_bytes;
}

void collector_sample(void *arg, uint64_t now_ns)
{
	struct collector *collector = arg;
	struct figures *ended = &collector->ended;
	struct rows used = { .bytes = 0 };
	struct resident resident;

	(void)now_ns;
	identity_look(&collector->identity, collector->pid);
	if (!resident_read(collector->pid, &resident))
		return;
	if (resident.peak_bytes > ended->resident_peak_bytes)
		ended->resident_peak_bytes = resident.peak_bytes;
	if (collector->preload->children) {
		look(collector, &used, &resident);
		peak_offer(&ended->peak, &used);
	}
	ended->resident_bytes = resident.bytes;
	if (resident.bytes > ended->resident_peak_bytes)
		ended->resident_peak_bytes = resident.bytes;
}

void collector_end(struct collector *collector, const struct child_end *end,
		   struct figures *figures)
{
	const struct report_header *header = collector->preload->header;
	uint64_t peak = (uint64_t)end->usage.ru_maxrss << 10;

	*figures = collector->ended;
	for (unsigned idx = 0; idx < header->parts_nr; idx++) {
		if (!is_begun(&header->owner[idx]))
			continue;
		add_part(figures, preload_part(collector->preload, idx));
		figures->processes_nr++;
	}
	peak_offer(&figures->peak, &figures->used);
	figures->images_nr = header->owner[0].images_nr;
	figures->became_another = identity_is_other(&collector->identity);
	figures->uncounted_nr = header->uncounted_nr;
	/* wait4() knows the peak to the end, but also that of this process, which the child was until exec,
	 * and that of children that the program waited for. */
	if (!end->had_children && peak > collector->own_bytes &&
	    peak > figures->resident_peak_bytes)
		figures->resident_peak_bytes = peak;
}
