/* SPDX-License-Identifier: MIT */
/* stat/prometheus.c - all figures in Prometheus' text format, version 0.0.4 */
#include <quire/stat.h>

#include "base/text.h"
#include "stat/figures.h"

const char *figure_kind(const struct figure *figure)
{
	return figure->kind == KIND_COUNTER ? "counter" : "gauge";
}

void figure_put_name(struct text *text, const struct figure *figure)
{
	text_put(text, "quire_");
	text_put(text, figure_module(figure));
	text_put(text, "_");
	text_put(text, figure->name);
	text_put(text, figure_suffix(figure));
	if (figure->kind == KIND_COUNTER)
		text_put(text, "_total");
}

static void put_family(struct text *text, const struct figure *figure, uint64_t value)
{
	text_put(text, "# HELP ");
	figure_put_name(text, figure);
	text_put(text, " ");
	text_put(text, figure->meaning);
	text_put(text, "\n# TYPE ");
	figure_put_name(text, figure);
	text_put(text, " ");
	text_put(text, figure_kind(figure));
	text_put(text, "\n");
	figure_put_name(text, figure);
	text_put(text, " ");
	text_put_u64(text, value);
	text_put(text, "\n");
}

size_t quire_stat_prometheus(const struct quire *q, char *buffer, size_t bytes)
{
	struct figure_values values;
	struct text text;

	text_init(&text, buffer, bytes);
	if (figures_read(q, &values) != 0)
		return 0;
	for (unsigned i = 0; i < figures_nr; i++)
		put_family(&text, &figures[i], figure_value(&figures[i], &values));
	return text.bytes;
}
