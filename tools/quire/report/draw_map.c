/* SPDX-License-Identifier: MIT */
/* draw_map.c - the address space over time, as far as it was used */
#include <string.h>

#include "replay/report_text.h"
#include "report/draw.h"

/* All runs of one shade as one path; a run is a line as wide as its row is high. */
static void put_shade(FILE *file, const struct map *map, unsigned shade, unsigned nr, double share)
{
	fprintf(file, "<path class=\"h%u\" d=\"", shade);
	for (unsigned row = 0; row < map->rows_nr; row++) {
		for (unsigned at = 0; at < MAP_COLUMNS; at += nr) {
			unsigned end = at;

			while (end < MAP_COLUMNS && map_shade(map, row, end, nr) == shade)
				end += nr;
			if (end == at)
				continue;
			fprintf(file, "M%.0f %uh%.0f", at * share, map->rows_nr - 1 - row,
				(end - at) * share);
			at = end - nr;
		}
	}
	fprintf(file, "\"/>");
}

static void put_cells(FILE *file, const struct report *report, const struct source *source,
		      const struct map *map)
{
	double share = source->seconds / report->seconds;

	fprintf(file, "<g class=\"cells\" transform=\"translate(0 .5)\">");
	for (unsigned level = 0; level < report->levels_nr; level++) {
		fprintf(file, "<g class=\"l%u\">", level);
		for (unsigned shade = 1; shade <= MAP_SHADES; shade++)
			put_shade(file, map, shade, (MAP_COLUMNS / 256 >> level) << report->coarse,
				  share);
		fprintf(file, "</g>");
	}
	fprintf(file, "</g>\n");
}

/* What a row is, and how much of the address space was used at any time. */
static void put_words(FILE *file, const struct module *module, const struct map *map,
		      uint64_t page_bytes)
{
	bool is_bytes = strcmp(module->name, "percpu") == 0;
	uint64_t unit = is_bytes ? 1 : page_bytes;

	fprintf(file, "<p class=\"dim\">%s %s of %s were used at one time or another",
		number_grouped(map->granules_nr).text, is_bytes ? "chunks" : "stretches",
		number_bytes(map->capacity * unit).text);
	if (map->row_granules > 1)
		fprintf(file, ", %s to a row", number_grouped(map->row_granules).text);
	fprintf(file,
		". Low addresses are at the bottom; what was never used is left "
		"out.%s</p>\n",
		map->is_short ? " Memory for the figure ran out: some blocks are missing." : "");
}

static void draw_map(FILE *file, const struct report *report, const struct source *source,
		     const struct module *module, const struct map *map, const char *who)
{
	if (map->rows_nr == 0)
		return;
	fprintf(file, "<figure id=\"map-%s-%s-%c\" class=\"map\"><figcaption>", module->name, who,
		source->letter);
	draw_who(file, report, source);
	fprintf(file, "%s, %s</figcaption>\n", module->name,
		strcmp(who, "linux") == 0 ? "as Linux placed it" : "as Quire placed it");
	put_words(file, module, map, source->page_bytes);
	frame_begin(file, NULL, MAP_COLUMNS, map->rows_nr);
	put_cells(file, report, source, map);
	frame_end(file, report, NULL);
	fprintf(file, "</figure>\n");
}

static void draw_module_maps(FILE *file, const struct report *report, const struct source *source,
			     const struct module *module, bool *has_head)
{
	bool shows_linux = module->linux_map.rows_nr > 0 && !draw_is_repeated(report, source);

	if (!shows_linux && module->quire_map.rows_nr == 0)
		return;
	if (!*has_head)
		fprintf(file, "<h2>Address space over time</h2>\n<p class=\"key\"><span "
			      "class=\"dim\">in use:</span> <i class=\"h1\"></i>little <i "
			      "class=\"h4\"></i>half <i class=\"h8\"></i>all</p>\n");
	*has_head = true;
	if (shows_linux)
		draw_map(file, report, source, module, &module->linux_map, "linux");
	draw_map(file, report, source, module, &module->quire_map, "quire");
}

void draw_maps(FILE *file, const struct report *report)
{
	bool has_head = false;

	for (unsigned i = 0; i < report->sources_nr; i++)
		for (unsigned j = 0; j < report->sources[i].modules_nr; j++)
			draw_module_maps(file, report, &report->sources[i],
					 &report->sources[i].modules[j], &has_head);
}
