/* SPDX-License-Identifier: MIT */
/* instance/options_keys.c - the table of options, and the nearest right spelling of a wrong one */
#include "instance/options.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

/* Least: one block of 2 MiB.  Most: frames are numbered in 32 bits, the last number means none, and
 * pages have at least 4 KiB; rounded down to a block. */
#define LIMIT_BYTES_MIN ((uint64_t)2 << 20)
#define LIMIT_BYTES_MAX (((uint64_t)1 << 44) - LIMIT_BYTES_MIN)
/* A day: decay is a number of milliseconds that a reader can still take for one. */
#define DECAY_MS_MAX	86400000u

static const char *const switch_words[] = { "on", "off", NULL };
static const char *const thp_words[] = { "on", "off", "auto", NULL };
static const char *const worker_words[] = { "thread", "inline", "off", NULL };
static const char *const guard_words[] = { "on", "off", "freed", NULL };
static const uint32_t guard_numbers[] = { QUIRE_GUARD_ON, QUIRE_GUARD_OFF, QUIRE_GUARD_FREED };
static const char *const backing_words[] = { "anon", "memfd", NULL };
static const char *const purge_words[] = { "splice", "counter", "lock", NULL };
static const char *const placement_words[] = { "packed", "linux", NULL };
static const char *const rule_words[] = { "apart", "gaps",   "slivers", "time",
					  "holes", "across", NULL };

_Static_assert(QUIRE_ON == 1 && QUIRE_OFF == 2 && QUIRE_AUTO == 3,
	       "switch_words and thp_words are in this order");
/* A program may have compiled one enum's constant into the other's field. */
_Static_assert(QUIRE_GUARD_ON == (int)QUIRE_ON && QUIRE_GUARD_OFF == (int)QUIRE_OFF &&
		       QUIRE_GUARD_FREED > (int)QUIRE_AUTO,
	       "of the numbers of guard and thp, only those of the same meaning are the same");
_Static_assert(QUIRE_WORKER_THREAD == 1 && QUIRE_WORKER_INLINE == 2 && QUIRE_WORKER_OFF == 3,
	       "worker_words is in this order");
_Static_assert(sizeof(enum quire_switch) == 4 && sizeof(enum quire_worker) == 4,
	       "words are stored as 32-bit numbers");
_Static_assert(QUIRE_BACKING_MEMFD == 2 && QUIRE_PURGE_LOCK == 3 && QUIRE_PLACEMENT_LINUX == 2 &&
		       QUIRE_RULE_APART == 1 && QUIRE_RULE_ACROSS == 6,
	       "their words are in these orders");

/* Least: one pageblock.  Most: page numbers of an area fit into 32 bits. */
#define SPAN_BYTES_MIN ((uint64_t)2 << 20)
#define SPAN_BYTES_MAX LIMIT_BYTES_MAX

#define FIELD(name) offsetof(struct quire_options, name)

const struct option_key option_keys[OPTION_KEYS_NR] = {
	{ .name = "limit",
	  .kind = KIND_SIZE,
	  .offset = FIELD(limit_bytes),
	  .min = LIMIT_BYTES_MIN,
	  .max = LIMIT_BYTES_MAX,
	  .takes = "a size from 2m to below 16t",
	  .by_default = "the machine's memory",
	  .does = "most memory handed out" },
	{ .name = "cpus",
	  .kind = KIND_NUMBER,
	  .offset = FIELD(cpus),
	  .min = 1,
	  .max = OPTIONS_CPUS_MAX,
	  .takes = "1..8192",
	  .by_default = "all possible",
	  .does = "most CPUs with lists of their own" },
	{ .name = "zones",
	  .kind = KIND_NUMBER,
	  .offset = FIELD(zones),
	  .min = 1,
	  .max = 8,
	  .takes = "1..8",
	  .by_default = "1",
	  .does = "equal parts of the memory, one a node" },
	{ .name = "page_shift",
	  .kind = KIND_NUMBER,
	  .offset = FIELD(page_shift),
	  .min = 12,
	  .max = 16,
	  .takes = "12..16",
	  .by_default = "the system's",
	  .does = "a page has 2^page_shift bytes; at least the system's" },
	{ .name = "decay",
	  .kind = KIND_NUMBER,
	  .offset = FIELD(decay_ms),
	  .min = 1,
	  .max = DECAY_MS_MAX,
	  .takes = "1..86400000",
	  .by_default = "1000",
	  .does = "milliseconds after which free memory goes back" },
	{ .name = "thp",
	  .kind = KIND_WORD,
	  .offset = FIELD(thp),
	  .words = thp_words,
	  .takes = "on, off or auto",
	  .by_default = "auto",
	  .does = "ask for huge pages behind sections, for none, or behind areas only where their "
		  "like are written" },
	{ .name = "rseq",
	  .kind = KIND_WORD,
	  .offset = FIELD(rseq),
	  .words = switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "per-CPU sequences, if the system has them" },
	{ .name = "report",
	  .kind = KIND_WORD,
	  .offset = FIELD(report),
	  .words = switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "give free memory back over time" },
	{ .name = "worker",
	  .kind = KIND_WORD,
	  .offset = FIELD(worker),
	  .words = worker_words,
	  .takes = "thread, inline or off",
	  .by_default = "thread",
	  .does = "who gives memory back: a thread, allocations that may wait, or quire_poll() "
		  "alone" },
	{ .name = "isolated",
	  .kind = KIND_CPUS,
	  .offset = FIELD(isolated),
	  .takes = "CPUs such as 2-5+8",
	  .by_default = "none",
	  .does = "CPUs that page lists never interrupt" },
	{ .name = "backing",
	  .kind = KIND_WORD,
	  .offset = FIELD(backing),
	  .words = backing_words,
	  .takes = "anon or memfd",
	  .by_default = "anon",
	  .does = "private memory, or shared frames that quire_vmap() can map again" },
	{ .name = "vmap_span",
	  .kind = KIND_SIZE,
	  .offset = FIELD(vmap_span_bytes),
	  .min = SPAN_BYTES_MIN,
	  .max = SPAN_BYTES_MAX,
	  .takes = "a size from 2m to below 16t",
	  .by_default = "4 times the limit",
	  .does = "addresses for areas" },
	{ .name = "lazy_max",
	  .kind = KIND_SIZE,
	  .offset = FIELD(lazy_max_bytes),
	  .min = 4096,
	  .max = SPAN_BYTES_MAX,
	  .takes = "a size from 4k to below 16t",
	  .by_default = "32m x (log2(CPUs) + 1)",
	  .does = "freed areas kept before a purge is due" },
	{ .name = "cache",
	  .kind = KIND_WORD,
	  .offset = FIELD(cache),
	  .words = switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "keep freed areas for reuse without a system call" },
	{ .name = "guard",
	  .kind = KIND_WORD,
	  .offset = FIELD(guard),
	  .words = guard_words,
	  .numbers = guard_numbers,
	  .takes = "on, off or freed",
	  .by_default = "on",
	  .does = "an unusable page after every area; freed: and in its place, once it is freed" },
	{ .name = "purge",
	  .kind = KIND_WORD,
	  .offset = FIELD(purge),
	  .words = purge_words,
	  .takes = "splice, counter or lock",
	  .by_default = "splice",
	  .does = "who may purge at a time; the last two are for comparison" },
	{ .name = "units",
	  .kind = KIND_NUMBER,
	  .offset = FIELD(units),
	  .min = 1,
	  .max = OPTIONS_CPUS_MAX,
	  .takes = "1..8192",
	  .by_default = "all possible",
	  .does = "CPUs that per-CPU memory has units for" },
	{ .name = "depopulate",
	  .kind = KIND_WORD,
	  .offset = FIELD(depopulate),
	  .words = switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "give back the emptied pages of per-CPU chunks" },
	{ .name = "placement",
	  .kind = KIND_WORD,
	  .offset = FIELD(placement),
	  .words = placement_words,
	  .takes = "packed or linux",
	  .by_default = "packed",
	  .does = "where per-CPU objects go: so that pages empty, or first fit as in Linux" },
	{ .name = "placement_without",
	  .kind = KIND_WORD,
	  .offset = FIELD(placement_without),
	  .words = rule_words,
	  .takes = "apart, gaps, slivers, time, holes or across",
	  .by_default = "none",
	  .does = "a rule of packed placement that is left out, for comparison" },
};

static size_t string_bytes(const char *string)
{
	size_t bytes = 0;

	while (string[bytes] != '\0')
		bytes++;
	return bytes;
}

static bool span_is(struct span span, const char *string)
{
	return span.bytes == string_bytes(string) && memcmp(span.start, string, span.bytes) == 0;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Letters to insert, delete or replace to make @string of @span.
 * limt, limit: 1.  onn, on: 1.  zones, zones: 0.
 */
static size_t spelling_distance(struct span span, const char *string)
{
	size_t row[OPTION_SPELLING_BYTES_MAX + 1];
	size_t columns = least(string_bytes(string), OPTION_SPELLING_BYTES_MAX);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; i < least(span.bytes, OPTION_SPELLING_BYTES_MAX); i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			size_t replaced = diagonal + (span.start[i] != string[j]);

			diagonal = row[j + 1];
			row[j + 1] = least(replaced, least(row[j], row[j + 1]) + 1);
		}
	}
	return row[columns];
}

const char *option_word_nearest(const struct option_key *key, struct span span)
{
	const char *nearest = key->words[0];

	for (unsigned i = 1; key->words[i] != NULL; i++) {
		if (spelling_distance(span, key->words[i]) < spelling_distance(span, nearest))
			nearest = key->words[i];
	}
	return nearest;
}

uint32_t option_word_number(const struct option_key *key, unsigned place)
{
	return key->numbers != NULL ? key->numbers[place] : place + 1;
}

uint32_t option_word_find(const struct option_key *key, struct span span)
{
	for (uint32_t i = 0; key->words[i] != NULL; i++) {
		if (span_is(span, key->words[i]))
			return option_word_number(key, i);
	}
	return 0;
}

const struct option_key *option_key_nearest(struct span span)
{
	const struct option_key *nearest = option_keys;

	for (const struct option_key *key = option_keys; key < option_keys + OPTION_KEYS_NR;
	     key++) {
		if (spelling_distance(span, key->name) < spelling_distance(span, nearest->name))
			nearest = key;
	}
	return nearest;
}

const struct option_key *option_key_find(struct span span)
{
	for (const struct option_key *key = option_keys; key < option_keys + OPTION_KEYS_NR;
	     key++) {
		if (span_is(span, key->name))
			return key;
	}
	return NULL;
}

void options_put_table(struct text *text)
{
	text_put(text, "| key | takes | default | meaning |\n|---|---|---|---|\n");
	for (const struct option_key *key = option_keys; key < option_keys + OPTION_KEYS_NR;
	     key++) {
		text_put(text, "| `");
		text_put(text, key->name);
		text_put(text, "` | ");
		text_put(text, key->takes);
		text_put(text, " | ");
		text_put(text, key->by_default);
		text_put(text, " | ");
		text_put(text, key->does);
		text_put(text, " |\n");
	}
}
