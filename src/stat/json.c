/* SPDX-License-Identifier: MIT */
/* stat/json.c - all figures as JSON; docs/stat.md has the schema */
#include <quire/stat.h>

#include "base/text.h"
#include "stat/figures.h"

/* What a double holds exactly, and so every reader.  A counter that gets there stays. */
#define JSON_NUMBER_MAX (((uint64_t)1 << 53) - 1)

static void put_version(struct text *text)
{
	text_put(text, "\",\"version\":1,\"library\":\"");
	text_put_u64(text, QUIRE_VERSION_MAJOR);
	text_put(text, ".");
	text_put_u64(text, QUIRE_VERSION_MINOR);
	text_put(text, ".");
	text_put_u64(text, QUIRE_VERSION_PATCH);
	text_put(text, "\"");
}

static void put_figure(struct text *text, const struct figure *figure, uint64_t value)
{
	text_put(text, "\"");
	text_put(text, figure->name);
	text_put(text, figure_suffix(figure));
	text_put(text, "\":");
	text_put_u64(text, value < JSON_NUMBER_MAX ? value : JSON_NUMBER_MAX);
}

/* The table's rows stand by module; each module is an object. */
static void put_figures(struct text *text, const struct figure_values *values)
{
	unsigned module = MODULES_NR;

	for (unsigned i = 0; i < figures_nr; i++) {
		if (figures[i].module == module) {
			text_put(text, ",");
		} else {
			text_put(text, module == MODULES_NR ? ",\"" : "},\"");
			text_put(text, figure_module(&figures[i]));
			text_put(text, "\":{");
		}
		module = figures[i].module;
		put_figure(text, &figures[i], figure_value(&figures[i], values));
	}
	text_put(text, "}");
}

size_t quire_stat_json(const struct quire *q, char *buffer, size_t bytes)
{
	struct figure_values values;
	struct text text;

	text_init(&text, buffer, bytes);
	if (figures_read(q, &values) != 0)
		return 0;
	text_put(&text, "{\"schema\":\"quire-stat");
	put_version(&text);
	put_figures(&text, &values);
	text_put(&text, "}\n");
	return text.bytes;
}
