/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - a report for machines: the figures of the page
 *
 * Curves are [seconds, least, most] for each of at most 1024 parts of the time, without those that change nothing.
 */
#include <inttypes.h>

#include "common/json.h"
#include "report/draw.h"

#define POINTS_NR 1024u
#define MAP_SHOWN 256u

static void put_key(FILE *file, const char *key, const char *text)
{
	fprintf(file, "\"%s\": ", key);
	json_put_text(file, text);
}

static void put_curve(FILE *file, const char *key, const struct curve *curve)
{
	unsigned nr = CURVE_BUCKETS / POINTS_NR;
	float before = -1, least, most;
	const char *between = "";

	fprintf(file,
		"\"%s\": {\"peak\": %.0f, \"peak_seconds\": %.6f, \"last\": %.0f, \"points\": [",
		key, curve->peak, curve->peak_seconds, curve->last);
	for (unsigned i = curve->first / nr * nr; i <= curve->at; i += nr) {
		curve_range(curve, i, nr, &least, &most);
		if (least == before && most == before)
			continue;
		fprintf(file, "%s[%.6f, %.0f, %.0f]", between, curve->seconds * i / CURVE_BUCKETS,
			(double)least, (double)most);
		before = least == most ? most : -1;
		between = ", ";
	}
	fprintf(file, "]}");
}

static void put_spread(FILE *file, const char *key, const struct spread *spread)
{
	fprintf(file,
		"\"%s\": {\"nr\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p90\": %" PRIu64
		", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64 ", \"p9999\": %" PRIu64
		", \"max\": %" PRIu64 "}",
		key, spread->nr, spread_at(spread, 0.5), spread_at(spread, 0.9),
		spread_at(spread, 0.99), spread_at(spread, 0.999), spread_at(spread, 0.9999),
		spread->max);
}

/* For each row, the lowest addresses first, a digit for each of MAP_SHOWN parts of the time: 0 is empty, 8 full. */
static void put_map(FILE *file, const char *key, const struct map *map)
{
	unsigned nr = MAP_COLUMNS / MAP_SHOWN;

	if (map->rows_nr == 0)
		return;
	fprintf(file,
		",\n       \"%s\": {\"stretches\": %" PRIu64 ", \"stretches_per_row\": %" PRIu64
		", \"eighths\": [",
		key, map->granules_nr, map->row_granules);
	for (unsigned row = 0; row < map->rows_nr; row++) {
		fprintf(file, "%s\n        \"", row == 0 ? "" : ",");
		for (unsigned at = 0; at < MAP_COLUMNS; at += nr)
			fprintf(file, "%u", map_shade(map, row, at, nr));
		fprintf(file, "\"");
	}
	fprintf(file, "]}");
}

static void put_module(FILE *file, const struct module *module)
{
	const char *between = "";

	fprintf(file, "      {");
	put_key(file, "name", module->name);
	fprintf(file,
		", \"allocs\": %" PRIu64 ", \"frees\": %" PRIu64 ", \"refused\": %" PRIu64
		", \"live\": %" PRIu64 ", \"live_bytes\": %" PRIu64 ",\n       ",
		module->allocs_nr, module->frees_nr, module->fails_nr, module->live_nr,
		module->live_bytes);
	put_spread(file, "size_bytes", &module->sizes);
	fprintf(file, ",\n       ");
	put_spread(file, "lifetime_ns", &module->lifetimes);
	fprintf(file, ",\n       ");
	put_spread(file, "alloc_ns", &module->alloc_ns);
	fprintf(file, ",\n       ");
	put_spread(file, "free_ns", &module->free_ns);
	fprintf(file, ",\n       \"curves\": {");
	for (unsigned key = 0; key < CURVE_KEYS_NR; key++) {
		if (!module_has(module, (enum curve_key)key))
			continue;
		fprintf(file, "%s\n        ", between);
		put_curve(file, curve_name((enum curve_key)key), module->curves[key]);
		between = ",";
	}
	fprintf(file, "}");
	put_map(file, "linux_map", &module->linux_map);
	put_map(file, "quire_map", &module->quire_map);
	fprintf(file, "}");
}

static void put_orders(FILE *file, const char *key, struct curve *const *orders)
{
	const char *between = "";
	char name[8];

	fprintf(file, "     \"%s\": {", key);
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		if (orders[order] == NULL || !orders[order]->has_begun)
			continue;
		snprintf(name, sizeof(name), "%u", order);
		fprintf(file, "%s\n      ", between);
		put_curve(file, name, orders[order]);
		between = ",";
	}
	fprintf(file, "},\n");
}

static void put_marks(FILE *file, const struct source *source)
{
	fprintf(file, "     \"marks\": [");
	for (unsigned i = 0; i < source->marks_nr; i++) {
		fprintf(file, "%s\n      {", i == 0 ? "" : ",");
		put_key(file, "name", source->marks[i].name);
		fprintf(file, ", \"seconds\": %.6f}", source->marks[i].seconds);
	}
	fprintf(file, "],\n     \"marks_left_out\": %u,\n", source->marks_left_out);
}

static void put_losses(FILE *file, const struct source *source)
{
	fprintf(file, "     \"losses\": [");
	for (unsigned i = 0; i < source->losses_nr; i++)
		fprintf(file,
			"%s\n      {\"cpu\": %u, \"from\": %.6f, \"to\": %.6f, \"events\": %" PRIu64
			"}",
			i == 0 ? "" : ",", source->losses[i].cpu, source->losses[i].begin,
			source->losses[i].end, source->losses[i].nr);
	fprintf(file, "],\n");
}

static void put_holders(FILE *file, const struct source *source)
{
	fprintf(file, "     \"holders\": [");
	for (unsigned i = 0; i < source->holders_nr; i++) {
		const struct holder *holder = &source->holders[i];

		fprintf(file, "%s\n      {", i == 0 ? "" : ",");
		put_key(file, "name", holder->name);
		fprintf(file, ", ");
		put_key(file, "module", source->modules[holder->module].name);
		fprintf(file,
			", \"allocs\": %" PRIu64 ", \"peak_bytes\": %" PRIu64
			", \"live_bytes\": %" PRIu64 "}",
			holder->allocs_nr, holder->peak_bytes, holder->live_bytes);
	}
	fprintf(file, "],\n");
}

static void put_source(FILE *file, const struct source *source)
{
	fprintf(file, "    {\"letter\": \"%c\", ", source->letter);
	put_key(file, "name", source->name);
	fprintf(file, ", \"seconds\": %.6f, \"lost\": %" PRIu64 ",\n     ", source->seconds,
		source->lost_nr);
	put_key(file, "trouble", source->trouble);
	fprintf(file, ",\n     \"made\": {");
	for (unsigned i = 0; i < source->made_nr; i++) {
		fprintf(file, "%s", i == 0 ? "" : ", ");
		put_key(file, source->made[i].key, source->made[i].value);
	}
	fprintf(file, "},\n     \"sentences\": [");
	for (unsigned i = 0; i < SENTENCES_NR; i++) {
		fprintf(file, "%s\n      ", i == 0 ? "" : ",");
		json_put_text(file, source->sentences[i]);
	}
	fprintf(file, "],\n");
	put_marks(file, source);
	put_losses(file, source);
	put_holders(file, source);
	put_orders(file, "linux_free_blocks", source->linux_orders);
	put_orders(file, "quire_free_blocks", source->quire_orders);
	fprintf(file, "     \"modules\": [\n");
	for (unsigned i = 0; i < source->modules_nr; i++) {
		put_module(file, &source->modules[i]);
		fprintf(file, "%s\n", i + 1 < source->modules_nr ? "," : "");
	}
	fprintf(file, "     ]}");
}

void report_write_json(FILE *file, const struct report *report)
{
	fprintf(file, "{\"schema\": \"quire-report\", \"version\": 1,\n \"command\": ");
	json_put_text(file, report->command);
	fprintf(file, ",\n \"sources\": [\n");
	for (unsigned i = 0; i < report->sources_nr; i++) {
		put_source(file, &report->sources[i]);
		fprintf(file, "%s\n", i + 1 < report->sources_nr ? "," : "");
	}
	fprintf(file, " ]}\n");
}
