/* SPDX-License-Identifier: MIT */
/*
 * sentences.c - what happened in a recording, in five sentences
 *
 *   1  what was recorded, and how much of it
 *   2  when the most was in use, and between which marks
 *   3  what Linux and Quire needed for it then, and at the end
 *   4  how large blocks are, and how long they live
 *   5  who held the most, and how long Quire's calls took
 *
 * They are about the module that asked for the most at its peak.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replay/report_text.h"
#include "report/sentences.h"

/* Of less than this a share says nothing. */
#define ASKED_BYTES_MIN (1 << 20)

__attribute__((format(printf, 3, 4))) void sentence_add(struct source *source, unsigned idx,
							const char *format, ...)
{
	char *text = source->sentences[idx];
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, SENTENCE_ROOM - used, format, arguments);
	va_end(arguments);
}

struct number sentence_bytes(double bytes)
{
	return number_bytes(bytes > 0 ? (uint64_t)bytes : 0);
}

static const struct module *main_module(const struct source *source)
{
	const struct module *main = NULL;

	for (unsigned i = 0; i < source->modules_nr; i++) {
		const struct module *module = &source->modules[i];

		if (module_has(module, CURVE_ASKED) &&
		    (main == NULL ||
		     module->curves[CURVE_ASKED]->peak > main->curves[CURVE_ASKED]->peak))
			main = module;
	}
	return main;
}

/* What a module's allocations are called. */
static const char *noun_of(const struct module *module)
{
	static const struct {
		const char *module, *noun;
	} nouns[] = { { "page", "blocks of pages" },
		      { "percpu", "per-CPU objects" },
		      { "vmap", "areas" },
		      { "slab", "objects" } };

	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++)
		if (strcmp(module->name, nouns[i].module) == 0)
			return nouns[i].noun;
	return "blocks";
}

static void say_what(struct source *source, const struct module *module)
{
	sentence_add(source, 0, "In %s, %s were allocated %s times and freed %s times",
		     text_of_seconds(source->seconds).text, noun_of(module),
		     number_grouped(module->allocs_nr).text, number_grouped(module->frees_nr).text);
	if (source->seconds > 0)
		sentence_add(source, 0, ", %s allocations a second",
			     number_grouped((uint64_t)((double)module->allocs_nr / source->seconds))
				     .text);
	if (module->fails_nr > 0)
		sentence_add(source, 0, "; %s more were refused",
			     number_grouped(module->fails_nr).text);
	sentence_add(source, 0, "; at the end %s, %s, were still in use.",
		     number_grouped(module->live_nr).text, number_bytes(module->live_bytes).text);
}

/* Two marks are the beginning and the end, which say nothing of the time between. */
static void say_peak(struct source *source, const struct module *module)
{
	const struct curve *asked = module->curves[CURVE_ASKED];
	const struct mark *before = NULL, *after = NULL;

	for (unsigned i = 0; i < source->marks_nr && source->marks_nr > 2; i++) {
		const struct mark *mark = &source->marks[i];

		if (mark->seconds <= asked->peak_seconds)
			before = mark;
		else if (after == NULL)
			after = mark;
	}
	sentence_add(source, 1, "The most in use was %s, after %s",
		     sentence_bytes(asked->peak).text, text_of_seconds(asked->peak_seconds).text);
	if (before != NULL && after != NULL)
		sentence_add(source, 1, ", between the marks %s and %s", before->name, after->name);
	else if (before != NULL)
		sentence_add(source, 1, ", after the mark %s", before->name);
	sentence_add(source, 1, "; at the end it was %.0f %% of that.",
		     asked->peak > 0 ? 100 * asked->last / asked->peak : 0);
}

/* The end of one side, and how much more than asked for that is. */
static void say_side(struct source *source, const struct module *module, enum curve_key key,
		     const char *who)
{
	const struct curve *curve = module->curves[key];
	double asked = module->curves[CURVE_ASKED]->last;

	sentence_add(source, 2, "%s held %s at most and %s at the end", who,
		     sentence_bytes(curve->peak).text, sentence_bytes(curve->last).text);
	if (asked >= ASKED_BYTES_MIN && curve->last >= asked)
		sentence_add(source, 2, ", %.1f times what was asked for", curve->last / asked);
}

static void say_sides(struct source *source, const struct module *module)
{
	bool has_linux = module_has(module, CURVE_LINUX);
	bool has_stopped = source->trouble[0] != '\0';
	bool has_quire = module_has(module, CURVE_QUIRE) && !has_stopped;

	if (has_linux)
		say_side(source, module, CURVE_LINUX, "For this Linux");
	if (has_quire)
		say_side(source, module, CURVE_QUIRE, has_linux ? "; Quire" : "For this Quire");
	if (!has_linux && has_stopped)
		sentence_add(source, 2,
			     "What Quire holds for this is not known: its replay stopped");
	else if (!has_linux && !has_quire)
		sentence_add(source, 2, "What the allocator held for this is not in the recording");
	sentence_add(source, 2, ".");
}

static void say_spreads(struct source *source, const struct module *module)
{
	const struct spread *lives = &module->lifetimes;
	uint64_t median = spread_at(&module->sizes, 0.5);

	sentence_add(source, 3,
		     "Half of all allocations were of at most %s, one in a hundred of "
		     "%s or more",
		     number_bytes(median).text, number_bytes(spread_at(&module->sizes, 0.99)).text);
	if (lives->nr > 0)
		sentence_add(source, 3,
			     "; of what was freed half lived at most %s, one in a hundred for "
			     "%s or more",
			     text_of_seconds((double)spread_at(lives, 0.5) / 1e9).text,
			     text_of_seconds((double)spread_at(lives, 0.99) / 1e9).text);
	sentence_add(source, 3, ".");
}

static void say_holder(struct source *source, const struct module *module)
{
	const struct holder *most = NULL;

	for (unsigned i = 0; i < source->holders_nr; i++) {
		const struct holder *holder = &source->holders[i];

		if (&source->modules[holder->module] == module &&
		    (most == NULL || holder->peak_bytes > most->peak_bytes))
			most = holder;
	}
	if (most != NULL)
		sentence_add(source, 4, "Most was held by %s, %s at its peak", most->name,
			     number_bytes(most->peak_bytes).text);
	if (module->alloc_ns.nr > 0)
		sentence_add(source, 4,
			     "%s99 of 100 of Quire's allocations took at most %s, the slowest %s",
			     most != NULL ? "; " : "",
			     text_of_seconds((double)spread_at(&module->alloc_ns, 0.99) / 1e9).text,
			     text_of_seconds((double)module->alloc_ns.max / 1e9).text);
	sentence_add(source, 4, ".");
}

static void say_recording(struct source *source)
{
	const struct module *module = main_module(source);

	if (module == NULL) {
		sentence_add(source, 0, "In %s, nothing was allocated.",
			     text_of_seconds(source->seconds).text);
		return;
	}
	say_what(source, module);
	say_peak(source, module);
	say_sides(source, module);
	say_spreads(source, module);
	say_holder(source, module);
}

void source_write_sentences(struct source *source)
{
	if (source->is_recording)
		say_recording(source);
	else
		sentences_of_statistics(source);
}
