/* SPDX-License-Identifier: MIT */
/*
 * malloc/table.c - the sizes of malloc's classes that are always there, and the table
 *
 * Up to 256 bytes every multiple of 16 is a class.  Above, a block wastes at most a sixteenth of itself:
 * the class after p is the largest multiple of its step that is at most (p + 1) * 16 / 15.  The steps (16 up
 * to 512, 32 up to 2 KiB, 64 up to 8 KiB, then 256) make more classes than a step of 16 everywhere would, 110
 * against 103, but an aligned block finds a class nearby: one of 64 waste at most a fifth, against a
 * third.  Powers of two, and from 4 KiB on multiples of a page, are classes whatever the rule says, since
 * programs ask for them.
 *
 * Which of them serve is in the table, one byte for each multiple of 16: coarse.c.  What a program turns out to use most gets
 * a class of its own besides: learn.c.
 */
#include "malloc/table.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/atomic.h"

static const uint16_t class_bytes[MALLOC_CLASSES_NR + 1] = {
	0,     16,    32,    48,    64,	   80,	  96,	 112,	128,   144,   160,   176,   192,
	208,   224,   240,   256,   272,   288,	  304,	 320,	336,   352,   368,   384,   400,
	416,   432,   448,   464,   496,   512,	  544,	 576,	608,   640,   672,   704,   736,
	768,   800,   832,   864,   896,   928,	  960,	 1024,	1088,  1152,  1216,  1280,  1344,
	1408,  1472,  1568,  1664,  1760,  1856,  1952,	 2048,	2176,  2304,  2432,  2560,  2688,
	2816,  2944,  3136,  3328,  3520,  3712,  3904,	 4096,	4352,  4608,  4864,  5184,  5504,
	5824,  6208,  6592,  6976,  7424,  7872,  8192,	 8704,	9216,  9728,  10240, 10752, 11264,
	11776, 12288, 13056, 13824, 14592, 15360, 16384, 17408, 18432, 19456, 20480, 21760, 23040,
	24576, 26112, 27648, 28672, 30464, 32256, 32768,
};

/* What is open at first: two classes from each power of two to the next, whose slabs of 64 KiB lose little at their ends, and
 * from 4 KiB on only the powers, since pages that nobody writes cost nothing.  coarse.c says when others open. */
static const uint16_t first_bytes[] = {
	16,  32,   48,	 64,   96,   128,  192,	 256,	384,   512,
	768, 1024, 1472, 2048, 2944, 4096, 8192, 16384, 32768,
};

uint32_t malloc_table_bytes(unsigned class)
{
	DCHECK(class >= 1 && class <= MALLOC_CLASSES_NR);
	return class_bytes[class];
}

void malloc_table_fill(uint8_t table[TABLE_ENTRIES], bool all)
{
	size_t place = 0;
	unsigned first = 0;

	for (unsigned class = 1; class <= MALLOC_CLASSES_NR; class ++) {
		size_t end = class_bytes[class] / MALLOC_ALIGN + 1;

		if (!all && class_bytes[class] != first_bytes[first])
			continue;
		memset(table + place, (int)class, end - place);
		place = end;
		first++;
	}
	CHECK_VALUES(place == TABLE_ENTRIES, place, first);
}

unsigned malloc_table_class(size_t place)
{
	unsigned low = 1, high = MALLOC_CLASSES_NR;

	DCHECK(place < TABLE_ENTRIES);
	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (class_bytes[middle] / MALLOC_ALIGN < place)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t malloc_table_first(const uint8_t *table, size_t place)
{
	unsigned class = load_relaxed(&table[place]); /* a hint, unless writers are kept out */

	while (place > 1 && load_relaxed(&table[place - 1]) == class)
		place--;
	return place;
}

/* Threads that read the table meanwhile find either class at each place, and both are large enough. */
void malloc_table_open(uint8_t *table, size_t place, unsigned class)
{
	for (size_t first = malloc_table_first(table, place); place >= first; place--)
		store_release(&table[place], (uint8_t) class); /* pairs with class.c */
}
