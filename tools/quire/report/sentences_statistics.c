/* SPDX-License-Identifier: MIT */
/*
 * sentences_statistics.c - what a process did, in five sentences
 *
 *   1  how much was in use, and when the most
 *   2  what is free, and kept for reuse
 *   3  what cannot go back, because a little in use holds it
 *   4  what this looks like: a leak, fragments, a cache, or nothing of it
 *   5  what was given back, needed again, and refused
 */
#include "report/sentences.h"

#include <string.h>

/* Where a rule draws the line.  In use: at the end near its most, and the least of the second half much more than that of the
 * first, which peaks fall back to. */
#define LEAK_SHARE_OF_PEAK  0.95
#define LEAK_TIMES_AT_FIRST 1.25
/* Fragments, and caches: as much as half of what is in use.  Fewer fragments are not worth a word. */
#define MUCH_SHARE	    0.5
#define FRAGMENTS_LEAST	    (16.0 * 1024 * 1024)

struct facts {
	double used, first, peak, peak_seconds; /* in use */
	double caches;	    /* free, with memory, and not held by what is in use */
	double caches_peak; /* of one module, but for slabs, of which the most is held */
	bool has_risen;
	const char *grown; /* the module that grew most; NULL: none did */
	double grown_by;
};

static double at_first(const struct curve *curve)
{
	return (double)curve->min[curve->first];
}

static bool has_risen(const struct curve *curve)
{
	unsigned nr = curve->at - curve->first + 1;
	float before, after, highest;

	curve_range(curve, curve->first, (nr + 1) / 2, &before, &highest);
	curve_range(curve, curve->first + nr / 2, nr - nr / 2, &after, &highest);
	return after > LEAK_TIMES_AT_FIRST * before;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

static struct facts collect(const struct source *source)
{
	const struct module *process = source_module(source, "process");
	const struct module *whole =
		module_has(process, CURVE_USED) ? process : source_module(source, "page");
	const struct curve *used = whole->curves[CURVE_USED];
	struct facts facts = { .used = used->last,
			       .first = at_first(used),
			       .peak = used->peak,
			       .peak_seconds = used->peak_seconds,
			       .has_risen = has_risen(used) };

	for (unsigned i = 0; i < source->modules_nr; i++) {
		const struct module *module = &source->modules[i];
		const struct curve *curve = module->curves[CURVE_USED];

		if (module_has(module, CURVE_KEPT))
			facts.caches += module->curves[CURVE_KEPT]->last;
		if (module_has(module, CURVE_KEPT) && strcmp(module->name, "slab") != 0)
			facts.caches_peak =
				most(facts.caches_peak, module->curves[CURVE_KEPT]->peak);
		if (module == process || !curve->has_begun ||
		    curve->last - at_first(curve) <= facts.grown_by)
			continue;
		facts.grown = module->name;
		facts.grown_by = curve->last - at_first(curve);
	}
	facts.caches -= source->looked.slab_free_bytes;
	return facts;
}

static void say_used(struct source *source, const struct facts *facts)
{
	if (source->looked.looks_nr == 1) {
		sentence_add(source, 0, "One look: %s were in use.",
			     sentence_bytes(facts->used).text);
		return;
	}
	sentence_add(source, 0, "In use were %s at the first of %llu looks, at most %s",
		     sentence_bytes(facts->first).text, (unsigned long long)source->looked.looks_nr,
		     sentence_bytes(facts->peak).text);
	if (!source->is_indexed && facts->peak_seconds > 0)
		sentence_add(source, 0, " after %s", text_of_seconds(facts->peak_seconds).text);
	sentence_add(source, 0, ", and %s at the last.", sentence_bytes(facts->used).text);
}

static void say_pinned(struct source *source)
{
	const struct looked *looked = &source->looked;

	if (looked->sparse_blocks == 0)
		sentence_add(source, 2, "No block of 2 MiB is held by less than a 20th of it");
	else
		sentence_add(source, 2,
			     "%.0f %s held by less than a 20th of each, %s in use by which %s are "
			     "pinned",
			     looked->sparse_blocks,
			     looked->sparse_blocks == 1 ? "block of 2 MiB is"
							: "blocks of 2 MiB are",
			     sentence_bytes(looked->sparse_used_bytes).text,
			     sentence_bytes(looked->sparse_rest_bytes).text);
	sentence_add(source, 2, "; %s in slabs are free beside objects in use.",
		     sentence_bytes(looked->slab_free_bytes).text);
}

static void say_what_it_is(struct source *source, const struct facts *facts)
{
	const struct looked *looked = &source->looked;
	bool is_high = facts->used >= LEAK_SHARE_OF_PEAK * facts->peak;
	double fragments = looked->sparse_rest_bytes + looked->slab_free_bytes;

	/* Fragments count as in use, so they may have grown, too. */
	if (fragments > FRAGMENTS_LEAST && fragments > MUCH_SHARE * facts->used &&
	    fragments > facts->caches)
		sentence_add(
			source, 3,
			"That looks like fragments: little is in use in many blocks and slabs, "
			"which cannot go back as a whole.");
	else if (looked->looks_nr > 1 && is_high && facts->has_risen)
		sentence_add(source, 3,
			     "That looks like a leak, or like a program that is still filling up: "
			     "what is in use grew to %.1f times and did not come down; %s grew "
			     "most, by %s.",
			     facts->first > 0 ? facts->used / facts->first : 1,
			     facts->grown != NULL ? facts->grown : "nothing",
			     sentence_bytes(facts->grown_by).text);
	else if (facts->caches > MUCH_SHARE * facts->used ||
		 facts->caches_peak > MUCH_SHARE * facts->peak)
		sentence_add(source, 3,
			     "That looks like caches: what was freed is kept, and goes back when "
			     "it was not needed for a while, or by quire_release().");
	else
		sentence_add(source, 3,
			     "Nothing of it looks like a leak, like fragments, or like large "
			     "caches.");
}

void sentences_of_statistics(struct source *source)
{
	const struct looked *looked = &source->looked;
	struct facts facts = collect(source);

	say_used(source, &facts);
	sentence_add(source, 1, "%s are kept for reuse%s.", sentence_bytes(facts.caches).text,
		     facts.caches > 0 ? ": they go back a decay after their last use" : "");
	say_pinned(source);
	say_what_it_is(source, &facts);
	sentence_add(source, 4,
		     "%s were given back%s, of which %s were needed again within one "
		     "decay; %.0f allocations were refused.",
		     sentence_bytes(looked->given_back_bytes).text,
		     looked->looks_nr > 1 ? " between the looks" : " so far",
		     sentence_bytes(looked->taken_again_bytes).text, looked->refusals);
}
