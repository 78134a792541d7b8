/* SPDX-License-Identifier: MIT */
/* plan_samples.c - the kernel's own figures at a mark */
#include "replay/planner.h"

#include <string.h>

/* The tables that are read, in the order of their readers below. */
enum {
	SAMPLED_ZONE,
	SAMPLED_PCP,
	SAMPLED_EVENT_COUNTERS,
	SAMPLED_VMALLOCINFO,
	SAMPLED_MEMINFO,
	SAMPLED_PERCPU_GLOBAL,
	SAMPLED_NR,
};

/* Value of a column in a row; 0 if there is no such column. */
static uint64_t value_of(const struct katr_record *sample, uint64_t row, const char *name)
{
	int column = katr_column(sample->table, name);

	if (column < 0)
		return 0;
	return (uint64_t)sample->values[row * sample->table->columns_nr + (unsigned)column];
}

/* Sum of a column over a sample's rows; 0 if there is no such column. */
static uint64_t sum_column(const struct katr_record *sample, const char *name)
{
	uint64_t sum = 0;

	for (uint64_t row = 0; row < sample->rows_nr; row++)
		sum += value_of(sample, row, name);
	return sum;
}

/* Text of a column in a row; empty if there is no such column of text. */
static const char *text_of(const struct planner *planner, const struct katr_record *sample,
			   uint64_t row, const char *name)
{
	int column = katr_column(sample->table, name);

	if (column < 0 || !sample->table->is_string[column])
		return "";
	return planner->reader->strings[value_of(sample, row, name)];
}

static void read_zone(struct planner *planner, const struct katr_record *sample,
		      struct plan_kernel *kernel)
{
	(void)planner;
	kernel->free_pages = sum_column(sample, "free");
}

static void read_pcp(struct planner *planner, const struct katr_record *sample,
		     struct plan_kernel *kernel)
{
	(void)planner;
	kernel->cached_pages = sum_column(sample, "count");
}

static void read_event_counters(struct planner *planner, const struct katr_record *sample,
				struct plan_kernel *kernel)
{
	(void)planner;
	kernel->blocks_taken = sum_column(sample, "zone_locked_pcp_order") +
			       sum_column(sample, "zone_locked_other");
	kernel->blocks_given = sum_column(sample, "pcpu_drain");
	kernel->vmap.purges = sum_column(sample, "vmap_purges");
	kernel->vmap.purged_areas = sum_column(sample, "vmap_purged_areas");
	kernel->percpu.chunks_created = sum_column(sample, "chunks_created");
	kernel->percpu.chunks_destroyed = sum_column(sample, "chunks_destroyed");
}

static void read_vmallocinfo(struct planner *planner, const struct katr_record *sample,
			     struct plan_kernel *kernel)
{
	for (uint64_t row = 0; row < sample->rows_nr; row++) {
		bool lazy = strcmp(text_of(planner, sample, row, "type"), "unpurged") == 0;
		uint64_t areas = value_of(sample, row, "areas");
		uint64_t bytes = value_of(sample, row, "bytes");

		*(lazy ? &kernel->vmap.lazy_areas : &kernel->vmap.busy_areas) += areas;
		*(lazy ? &kernel->vmap.lazy_bytes : &kernel->vmap.busy_bytes) += bytes;
	}
}

static void read_meminfo(struct planner *planner, const struct katr_record *sample,
			 struct plan_kernel *kernel)
{
	(void)planner;
	kernel->vmap.used_kB = sum_column(sample, "VmallocUsed");
	kernel->percpu.populated_kB = sum_column(sample, "Percpu");
}

bool planner_reads_percpu(const struct katr_record *sample, uint64_t *populated_kB)
{
	if (strcmp(sample->table->name, "meminfo_kB") != 0 ||
	    katr_column(sample->table, "Percpu") < 0)
		return false;
	*populated_kB = sum_column(sample, "Percpu");
	return true;
}

static void read_percpu_global(struct planner *planner, const struct katr_record *sample,
			       struct plan_kernel *kernel)
{
	(void)planner;
	kernel->percpu.chunks = sum_column(sample, "nr_chunks");
	kernel->percpu.objects = sum_column(sample, "nr_cur_alloc");
	kernel->percpu.empty_pages = sum_column(sample, "empty_pop_pages");
}

void planner_add_sample(struct planner *planner, const struct katr_record *sample)
{
	static const struct {
		const char *table;
		void (*read)(struct planner *planner, const struct katr_record *sample,
			     struct plan_kernel *kernel);
	} tables[SAMPLED_NR] = {
		[SAMPLED_ZONE] = { "zone", read_zone },
		[SAMPLED_PCP] = { "pcp", read_pcp },
		[SAMPLED_EVENT_COUNTERS] = { "event_counters", read_event_counters },
		[SAMPLED_VMALLOCINFO] = { "vmallocinfo", read_vmallocinfo },
		[SAMPLED_MEMINFO] = { "meminfo_kB", read_meminfo },
		[SAMPLED_PERCPU_GLOBAL] = { "percpu_global", read_percpu_global },
	};
	struct plan *plan = planner->plan;

	if (plan->marks_nr == 0)
		return;
	for (unsigned i = 0; i < SAMPLED_NR; i++) {
		if (strcmp(sample->table->name, tables[i].table) != 0 || planner->sampled >> i & 1)
			continue;
		planner->sampled |= 1u << i;
		tables[i].read(planner, sample, &plan->marks[plan->marks_nr - 1].kernel);
	}
}
