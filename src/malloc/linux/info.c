/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/info.c - questions about the heap, and malloc_trim()
 *
 * In glibc's terms: arena and fordblks are of the pages of small blocks, hblks and hblkhd of large ones; what is
 * free in either is fordblks; keepcost is what malloc_trim() surely gives back.  fsmblks and smblks are
 * objects that wait in slabs, sheaves and barns.
 */
#include "malloc/linux/family.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/text.h"
#include "malloc/count.h"
#include "malloc/heap.h"

#define EXPORT	   __attribute__((visibility("default")))
#define LINE_BYTES 256

/* libc's headers have names of their own for parameters.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

struct totals {
	struct malloc_count small, large;
	uint64_t page_bytes, free_page_bytes;
};

static struct totals totals_read(void)
{
	struct totals t;

	malloc_count_small(&t.small);
	malloc_count_large(&t.large);
	t.page_bytes = malloc_page_bytes(&t.free_page_bytes);
	return t;
}

EXPORT int malloc_trim(size_t pad)
{
	(void)pad; /* what is kept for later is the instance's business */
	return malloc_give_back() != 0;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
	struct totals t = totals_read();

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

EXPORT void malloc_stats(void)
{
	struct totals t = totals_read();

	warn_count("small", &t.small);
	warn_count("large", &t.large);
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

/* What is printed is a picture of several moments: printing may itself allocate. */
EXPORT int malloc_info(int options, FILE *file)
{
	struct totals t;

	if (options != 0) {
		errno = EINVAL;
		return -1;
	}
	t = totals_read();
	fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", file);
	for (unsigned class = malloc_class_above(0); class != 0; class = malloc_class_above(class))
		print_size(file, class);
	fprintf(file,
		"</sizes>\n"
		"<total type=\"small\" count=\"%llu\" size=\"%llu\"/>\n"
		"<total type=\"mmap\" count=\"%llu\" size=\"%llu\"/>\n"
		"<total type=\"rest\" size=\"%llu\"/>\n"
		"<system type=\"current\" size=\"%llu\"/>\n"
		"</heap>\n</malloc>\n",
		(unsigned long long)t.small.blocks, (unsigned long long)t.small.bytes,
		(unsigned long long)t.large.blocks, (unsigned long long)t.large.bytes,
		(unsigned long long)(t.small.free_bytes + t.free_page_bytes + t.large.free_bytes),
		(unsigned long long)(t.page_bytes + t.large.bytes + t.large.free_bytes));
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
