/* SPDX-License-Identifier: MIT */
/* recording_samples.c - the kernel's own figures: what it needs for each module, and its free blocks */
#include <stdio.h>
#include <string.h>

#include "report/recording.h"

/* Sum of a column over the rows; false if there is no such column. */
static bool sum(const struct katr_record *sample, const char *name, double *value)
{
	int column = katr_column(sample->table, name);

	*value = 0;
	for (uint64_t row = 0; column >= 0 && row < sample->rows_nr; row++)
		*value +=
			(double)sample->values[row * sample->table->columns_nr + (unsigned)column];
	return column >= 0 && sample->rows_nr > 0;
}

static void put(struct reading *reading, unsigned kind, double bytes)
{
	struct module *module = &reading->source->modules[reading->module_of_kind[kind]];

	if ((reading->reader.params.kinds >> kind & 1) != 0)
		curve_put(module->curves[CURVE_LINUX], reading->seconds, bytes > 0 ? bytes : 0);
}

/* What was there before the recording is not its doing. */
static double since_first(double kB, double *first_kB)
{
	if (*first_kB == 0)
		*first_kB = kB;
	return (kB - *first_kB) * 1024;
}

static void read_meminfo(struct reading *reading, const struct katr_record *sample)
{
	double kB;

	if (sum(sample, "Percpu", &kB))
		put(reading, KATR_PERCPU, kB * 1024);
	if (sum(sample, "VmallocUsed", &kB))
		put(reading, KATR_VMAP, since_first(kB, &reading->vmalloc_kB));
	if (sum(sample, "Slab", &kB))
		put(reading, KATR_SLAB, since_first(kB, &reading->slab_kB));
}

static void read_buddy(struct reading *reading, const struct katr_record *sample)
{
	struct source *source = reading->source;

	for (unsigned order = 0; order < ORDERS_NR; order++) {
		char name[8];
		double blocks;

		snprintf(name, sizeof(name), "o%u", order);
		if (!sum(sample, name, &blocks))
			continue;
		if (source->linux_orders[order] == NULL)
			source->linux_orders[order] = curve_new(source->seconds);
		if (source->linux_orders[order] == NULL)
			reading->out_of_memory = true;
		else
			curve_put(source->linux_orders[order], reading->seconds, blocks);
	}
}

static void read_percpu_global(struct reading *reading, const struct katr_record *sample)
{
	double bytes;

	if (sum(sample, "unit_size", &bytes) && bytes > 0)
		reading->unit_bytes = (uint64_t)bytes;
}

void recording_add_sample(struct reading *reading, const struct katr_record *sample)
{
	static const struct {
		const char *table;
		void (*read)(struct reading *reading, const struct katr_record *sample);
	} tables[] = {
		{ "meminfo_kB", read_meminfo },
		{ "buddy", read_buddy },
		{ "percpu_global", read_percpu_global },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(sample->table->name, tables[i].table) == 0)
			tables[i].read(reading, sample);
}
