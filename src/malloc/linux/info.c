/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/info.c - questions about the heap, and malloc_trim()
 *
 * All answers are the table of figures' (stat/figures.list), or sums of some of them.  In glibc's terms: arena and fordblks are of the pages of small blocks, hblks and hblkhd of large ones; what is
 * free in either is fordblks; keepcost is what malloc_trim() surely gives back.  fsmblks and smblks are
 * objects that wait in slabs, sheaves and barns.
 */
#include "malloc/linux/family.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/text.h"
#include "malloc/count.h"
#include "malloc/heap.h"
#include "stat/figures.h"

#define EXPORT	   __attribute__((visibility("default")))
#define LINE_BYTES 256

/* libc's headers have names of their own for parameters.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

struct totals {
	struct figure_values values;
	bool are_there; /* the figures: not while there is no heap */
	struct malloc_count small, large;
	uint64_t page_bytes, free_page_bytes;
};

static void totals_read(struct totals *t)
{
	*t = (struct totals){ .are_there = false };
	if (malloc_is_ready())
		t->are_there = figures_read(malloc_heap.q, &t->values) == 0;
	if (!t->are_there)
		t->values = (struct figure_values){ .page = QUIRE_PAGE_STAT_INIT };
	malloc_count_small(&t->values, &t->small);
	malloc_count_large(&t->values, &t->large);
	t->page_bytes = malloc_page_bytes(&t->values, &t->free_page_bytes);
}

EXPORT int malloc_trim(size_t pad)
{
	(void)pad; /* what is kept for later is the instance's business */
	return malloc_give_back() != 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
	struct totals t;

	totals_read(&t);
	return (struct mallinfo2){
		.arena = t.page_bytes,
		.smblks = t.small.free_bytes,
		.hblks = t.large.blocks,
		.hblkhd = t.large.bytes,
		.fsmblks = t.small.free_bytes,
		.uordblks = t.small.bytes + t.large.bytes,
		.fordblks = t.small.free_bytes + t.free_page_bytes + t.large.free_bytes,
		.keepcost = t.free_page_bytes + t.large.free_bytes,
	};
}

static int clamp(size_t n)
{
	return n > INT_MAX ? INT_MAX : (int)n;
}

/* glibc's wraps around beyond 2 GiB; a figure that stays at the most misleads less. */
EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();

	return (struct mallinfo){
		.arena = clamp(m.arena),
		.smblks = clamp(m.smblks),
		.hblks = clamp(m.hblks),
		.hblkhd = clamp(m.hblkhd),
		.fsmblks = clamp(m.fsmblks),
		.uordblks = clamp(m.uordblks),
		.fordblks = clamp(m.fordblks),
		.keepcost = clamp(m.keepcost),
	};
}

static void warn_count(const char *what, const struct malloc_count *count)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: malloc: ");
	text_put(&text, what);
	text_put(&text, " blocks: ");
	text_put_u64(&text, count->blocks);
	text_put(&text, " in use, ");
	text_put_u64(&text, count->bytes);
	text_put(&text, " bytes; ");
	text_put_u64(&text, count->free_bytes);
	text_put(&text, " bytes free\n");
	malloc_warn(line);
}

/* "quire: malloc: slab.used_bytes 4096" */
static void warn_figure(const struct figure *figure, uint64_t value)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: malloc: ");
	text_put(&text, figure_module(figure));
	text_put(&text, ".");
	text_put(&text, figure->name);
	text_put(&text, figure_suffix(figure));
	text_put(&text, " ");
	text_put_u64(&text, value);
	text_put(&text, "\n");
	malloc_warn(line);
}

/* Blocks in a sentence each, then every figure that is not zero. */
EXPORT void malloc_stats(void)
{
	struct totals t;

	totals_read(&t);
	warn_count("small", &t.small);
	warn_count("large", &t.large);
	for (unsigned i = 0; t.are_there && i < figures_nr; i++) {
		uint64_t value = figure_value(&figures[i], &t.values);

		if (value != 0)
			warn_figure(&figures[i], value);
	}
}

static void print_size(FILE *file, unsigned class)
{
	struct malloc_count count;

	malloc_count_class(class, &count);
	if (count.blocks == 0 && count.free_bytes == 0)
		return;
	fprintf(file, "  <size bytes=\"%u\" used=\"%llu\" free=\"%llu\"/>\n",
		malloc_class_bytes(class), (unsigned long long)count.blocks,
		(unsigned long long)(count.free_bytes / malloc_class_bytes(class)));
}

static void print_figures(FILE *file, const struct figure_values *values)
{
	fputs("<figures>\n", file);
	for (unsigned i = 0; i < figures_nr; i++)
		fprintf(file, "  <figure name=\"%s.%s%s\" kind=\"%s\" value=\"%llu\"/>\n",
			figure_module(&figures[i]), figures[i].name, figure_suffix(&figures[i]),
			figure_kind(&figures[i]),
			(unsigned long long)figure_value(&figures[i], values));
	fputs("</figures>\n", file);
}

/* What is printed is a picture of several moments: printing may itself allocate. */
EXPORT int malloc_info(int options, FILE *file)
{
	struct totals t;

	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	totals_read(&t);
	fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", file);
	for (unsigned class = malloc_class_above(0); class != 0; class = malloc_class_above(class))
		print_size(file, class);
	fprintf(file,
		"</sizes>\n"
		"<total type=\"small\" count=\"%llu\" size=\"%llu\"/>\n"
		"<total type=\"mmap\" count=\"%llu\" size=\"%llu\"/>\n"
		"<total type=\"rest\" size=\"%llu\"/>\n"
		"<system type=\"current\" size=\"%llu\"/>\n",
		(unsigned long long)t.small.blocks, (unsigned long long)t.small.bytes,
		(unsigned long long)t.large.blocks, (unsigned long long)t.large.bytes,
		(unsigned long long)(t.small.free_bytes + t.free_page_bytes + t.large.free_bytes),
		(unsigned long long)(t.page_bytes + t.large.bytes + t.large.free_bytes));
	if (t.are_there)
		print_figures(file, &t.values);
	fputs("</heap>\n</malloc>\n", file);
	return ferror(file) ? -1 : 0;
}

/*
 * What tunes glibc's own ways has no counterpart, and does no harm: it is accepted without effect.  Of
 * M_PERTURB programs expect an effect, so it is refused, as is what nobody knows.
 */
EXPORT int mallopt(int parameter, int value)
{
	(void)value;
	switch (parameter) {
	case M_MXFAST:
	case M_TRIM_THRESHOLD:
	case M_TOP_PAD:
	case M_MMAP_THRESHOLD:
	case M_MMAP_MAX:
	case M_ARENA_TEST:
	case M_ARENA_MAX:
	case M_CHECK_ACTION:
		return 1;
	default:
		return 0;
	}
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
