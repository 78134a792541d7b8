/* SPDX-License-Identifier: MIT */
/*
 * statistics.c - the figures of a process from JSON: `quire stats --json`, several of them, or `quire top --json`
 *
 * A line is a look.  The lines of `quire top` say when it was; of the others only the order is known.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_reader.h"
#include "common/spool.h"
#include "report/source.h"

/* The file, cut into lines that end with a NUL. */
struct looks {
	char *text;
	size_t bytes;
	char **lines;
	size_t nr;
};

/* No figure is larger. */
#define FIGURE_MAX 0x1p53

/* The figures of one line that are drawn; what a line does not have is 0. */
static double figure(const char *line, const char *path)
{
	double value = 0;

	if (!json_number(line, path, &value))
		return 0;
	return value < FIGURE_MAX ? value : FIGURE_MAX;
}

static double at_least_0(double value)
{
	return value > 0 ? value : 0;
}

static void put(const struct source *source, const char *name, enum curve_key key, double seconds,
		double value)
{
	curve_put(source_module(source, name)->curves[key], seconds, value);
}

static void read_figures(const struct source *source, const char *line, double seconds)
{
	double kept = figure(line, "page.free_bytes") + figure(line, "page.cached_bytes") -
		      figure(line, "page.unbacked_bytes");
	double percpu = figure(line, "percpu.used_bytes") * figure(line, "percpu.units");
	double value;

	put(source, "page", CURVE_USED, seconds, figure(line, "page.allocated_bytes"));
	put(source, "page", CURVE_KEPT, seconds, at_least_0(kept));
	put(source, "vmap", CURVE_USED, seconds, figure(line, "vmap.busy_bytes"));
	put(source, "vmap", CURVE_KEPT, seconds,
	    figure(line, "vmap.cached_bytes") + figure(line, "vmap.lazy_bytes"));
	put(source, "percpu", CURVE_USED, seconds, percpu);
	put(source, "percpu", CURVE_KEPT, seconds,
	    at_least_0(figure(line, "percpu.populated_bytes") - percpu));
	put(source, "slab", CURVE_USED, seconds, figure(line, "slab.used_bytes"));
	put(source, "slab", CURVE_KEPT, seconds,
	    figure(line, "slab.cached_bytes") + figure(line, "slab.free_bytes"));
	if (json_number(line, "used_bytes", &value))
		put(source, "process", CURVE_USED, seconds, figure(line, "used_bytes"));
	/* 0: it had ended. */
	value = figure(line, "resident_bytes");
	if (value > 0)
		put(source, "process", CURVE_RESIDENT, seconds, value);
}

/* ---- the lines ---- */

static int refuse(const char *path, size_t byte, const char *what, char *error, size_t error_bytes)
{
	snprintf(error, error_bytes, "%s: at byte %zu: %s", path, byte, what);
	return -1;
}

/* A line is JSON, and that of a process's figures. */
static int check_line(const struct looks *looks, const char *path, size_t idx, char *error,
		      size_t error_bytes)
{
	const char *line = looks->lines[idx];
	size_t begin = (size_t)(line - looks->text), offset;
	double version, used;

	if (!json_is_right(line, &offset))
		return refuse(path, begin + offset, "this is no JSON", error, error_bytes);
	if (!json_number(line, "version", &version) ||
	    !json_number(line, "page.allocated_bytes", &used))
		return refuse(path, begin, "these are no figures as quire stats --json prints them",
			      error, error_bytes);
	if (version != 1)
		return refuse(path, begin, "a version of figures that is not known: this knows 1",
			      error, error_bytes);
	return 0;
}

/* All of the file, ended by a NUL: 0 or -errno. */
static int read_text(const char *path, struct looks *looks)
{
	FILE *file = spool_open(path);
	size_t room = 0, nr;
	int error;

	if (file == NULL)
		return -errno;
	do {
		char *grown;

		room = room * 2 + (1 << 16);
		grown = realloc(looks->text, room + 1);
		if (grown == NULL) {
			fclose(file);
			return -ENOMEM;
		}
		looks->text = grown;
		nr = fread(looks->text + looks->bytes, 1, room - looks->bytes, file);
		looks->bytes += nr;
	} while (looks->bytes == room);
	error = ferror(file) != 0 ? -errno : 0;
	fclose(file);
	looks->text[looks->bytes] = '\0';
	return error;
}

/* Cuts the text into lines; empty ones do not count. */
static int cut_lines(struct looks *looks)
{
	size_t lines_nr = 1;

	for (size_t i = 0; i < looks->bytes; i++)
		lines_nr += looks->text[i] == '\n';
	looks->lines = calloc(lines_nr, sizeof(looks->lines[0]));
	if (looks->lines == NULL)
		return -ENOMEM;
	for (char *line = looks->text; *line != '\0';) {
		size_t bytes = strcspn(line, "\n");
		bool is_last = line[bytes] == '\0';

		line[bytes] = '\0';
		if (line[strspn(line, " \t\r")] != '\0')
			looks->lines[looks->nr++] = line;
		line += bytes + !is_last;
	}
	return 0;
}

/* ---- the source ---- */

static const struct {
	const char *name;
	unsigned keys;
} shown[] = {
	{ "process", 1u << CURVE_USED | 1u << CURVE_RESIDENT },
	{ "page", 1u << CURVE_USED | 1u << CURVE_KEPT },
	{ "vmap", 1u << CURVE_USED | 1u << CURVE_KEPT },
	{ "percpu", 1u << CURVE_USED | 1u << CURVE_KEPT },
	{ "slab", 1u << CURVE_USED | 1u << CURVE_KEPT },
};

static int make_modules(struct source *source)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		struct module *module = &source->modules[source->modules_nr++];

		snprintf(module->name, sizeof(module->name), "%s", shown[i].name);
		for (unsigned key = 0; key < CURVE_KEYS_NR; key++)
			if ((shown[i].keys >> key & 1) != 0 &&
			    source_curve(source, module, (enum curve_key)key) == NULL)
				return -ENOMEM;
	}
	return 0;
}

static double time_of(const struct source *source, const struct looks *looks, size_t idx)
{
	double first = 0, now = 0;

	if (source->is_indexed)
		return (double)idx;
	(void)json_number(looks->lines[0], "updated_seconds", &first);
	(void)json_number(looks->lines[idx], "updated_seconds", &now);
	return now - first;
}

/* Whether every look says when it was, and none is before the one before. */
static bool has_times(const struct looks *looks)
{
	double before = 0, now;

	for (size_t i = 0; i < looks->nr; i++) {
		if (!json_number(looks->lines[i], "updated_seconds", &now) || now < before)
			return false;
		before = now;
	}
	return true;
}

/* What a counter has counted between the first look and the last. */
static double counted(const struct looks *looks, const char *path)
{
	return at_least_0(figure(looks->lines[looks->nr - 1], path) -
			  (looks->nr > 1 ? figure(looks->lines[0], path) : 0));
}

static void remember(struct source *source, const struct looks *looks)
{
	const char *last = looks->lines[looks->nr - 1];

	source->looked = (struct looked){
		.looks_nr = looks->nr,
		.sparse_blocks = figure(last, "page.sparse_blocks"),
		.sparse_used_bytes = figure(last, "page.sparse_used_bytes"),
		.sparse_rest_bytes = figure(last, "page.sparse_rest_bytes"),
		.slab_free_bytes = figure(last, "slab.free_bytes"),
		.given_back_bytes = counted(looks, "page.given_back_bytes") +
				    counted(looks, "vmap.given_back_bytes"),
		.taken_again_bytes = counted(looks, "page.taken_again_bytes"),
		.refusals = counted(looks, "page.refusals") + counted(looks, "vmap.refusals") +
			    counted(looks, "percpu.refusals"),
	};
}

static int read_looks(struct source *source, struct looks *looks)
{
	double pid;

	source->is_indexed = !has_times(looks);
	source->seconds = time_of(source, looks, looks->nr - 1);
	if (source->seconds <= 0)
		source->seconds = 1;
	if (make_modules(source) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < looks->nr; i++)
		read_figures(source, looks->lines[i], time_of(source, looks, i));
	source_end_curves(source);
	source_made(source, "file", "%s", source->path);
	source_made(source, "looks", "%zu", looks->nr);
	source_made(source, "format", "quire-stat 1");
	if (json_number(looks->lines[0], "pid", &pid)) {
		source_made(source, "process", "%.0f", pid);
		snprintf(source->name, sizeof(source->name), "process %.0f", pid);
	}
	remember(source, looks);
	return 0;
}

int source_read_statistics(struct source *source, char *error, size_t error_bytes)
{
	struct looks looks = { .nr = 0 };
	int result = read_text(source->path, &looks);
	size_t text_bytes = result == 0 ? strlen(looks.text) : 0;

	if (result == 0)
		result = cut_lines(&looks);
	if (result != 0)
		snprintf(error, error_bytes, "%s: %s", source->path, strerror(-result));
	else if (text_bytes < looks.bytes)
		result = refuse(source->path, text_bytes, "this is no text", error, error_bytes);
	else if (looks.nr == 0)
		result = refuse(source->path, 0, "empty", error, error_bytes);
	for (size_t i = 0; i < looks.nr && result == 0; i++)
		result = check_line(&looks, source->path, i, error, error_bytes);
	if (result == 0) {
		snprintf(source->name, sizeof(source->name), "a process");
		result = read_looks(source, &looks);
		if (result != 0)
			snprintf(error, error_bytes, "%s: %s", source->path, strerror(ENOMEM));
	}
	free(looks.text);
	free(looks.lines);
	return result == 0 || result == -ENOMEM ? result : -1;
}
