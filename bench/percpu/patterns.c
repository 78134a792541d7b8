/* SPDX-License-Identifier: MIT */
/*
 * patterns.c - does it matter in which order a million per-CPU objects are freed?
 *
 * Method  A new instance with units for two CPUs; a million objects of one size are allocated, one by
 *         one, which fills chunk after chunk; then they are freed
 *           in order, in reverse, every other one first and then the rest, at random.
 *         These are the patterns of the series that brought bitmaps to Linux's allocator in 2017.
 *         The measured time includes creating chunks, pages and maps as they are needed, and the
 *         worker returns pages while objects are still being freed.
 * Read    ms for all objects, medians, beside those of that series (Linux 4.14 on another machine,
 *         where populating a page also cleared it).  The series did not measure 8 bytes; they are
 *         compared with its 4.  Wanted is a quarter of its times, and a free that costs the same in
 *         every pattern.
 * Refused A sample from which other processes took more than a twentieth of the time.
 * Not     Writing to the objects: percpu_memory.
 */
#include <stdlib.h>
#include <quire/percpu.h>
#include "harness/bench.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"

#define OBJECTS	   1000000u
#define LINUX_PART 0.25
#define SPREAD_MAX 1.5
#define STOLEN_MAX 0.05

enum order {
	IN_ORDER,
	REVERSE,
	EVERY_SECOND,
	RANDOM,
	ORDERS_NR,
};

static const char *const order_words[ORDERS_NR] = {
	[IN_ORDER] = "in order",
	[REVERSE] = "reverse",
	[EVERY_SECOND] = "every second first",
	[RANDOM] = "random",
};

static const struct size_row {
	size_t bytes;
	double linux_alloc_ms, linux_free_ms;
} sizes[] = {
	{ 4, 490, 70 }, { 8, 490, 70 }, { 64, 610, 80 }, { 256, 950, 100 }, { 1024, 3520, 200 },
};
#define SIZES_NR (sizeof(sizes) / sizeof(sizes[0]))

struct times {
	double alloc_ms, free_ms;
};

static void *objects[OBJECTS];
static uint32_t turn_of[OBJECTS];

/* Which object the @i-th free is of; RANDOM begins as IN_ORDER. */
static uint32_t turn_in(enum order order, uint32_t i)
{
	if (order == REVERSE)
		return OBJECTS - 1 - i;
	if (order == EVERY_SECOND)
		return i < OBJECTS / 2 ? 2 * i : 2 * (i - OBJECTS / 2) + 1;
	return i;
}

static void order_make(enum order order)
{
	uint64_t random = 1;

	for (uint32_t i = 0; i < OBJECTS; i++)
		turn_of[i] = turn_in(order, i);
	for (uint32_t i = OBJECTS - 1; order == RANDOM && i > 0; i--) {
		uint32_t other = random_below(&random, i + 1), kept = turn_of[i];

		turn_of[i] = turn_of[other];
		turn_of[other] = kept;
	}
}

/* NULL, or why the sample does not count. */
static const char *sample_in(struct quire *q, const struct options *options, size_t bytes,
			     struct times *times)
{
	uint64_t begin, filled, end, delayed = proc_delay_ns();

	begin = proc_clock_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < OBJECTS; i++) {
		objects[i] = quire_alloc_percpu(q, bytes, 0, 0);
		if (!objects[i])
			return "no memory";
	}
	filled = proc_clock_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < OBJECTS; i++)
		quire_free_percpu(q, objects[turn_of[i]]);
	end = proc_clock_ns(CLOCK_MONOTONIC);
	delayed = proc_delay_ns() - delayed;
	times->alloc_ms = (double)(filled - begin) / 1e6;
	times->free_ms = (double)(end - filled) / 1e6;
	if ((double)delayed > STOLEN_MAX * (double)(end - begin) && !options->keep)
		return "time was taken by others";
	return NULL;
}

static const char *sample_take(const struct options *options, const struct size_row *size,
			       enum order order, struct times *times)
{
	const struct quire_options create = QUIRE_OPTIONS_INIT(.units = 2);
	const char *reason;
	struct quire *q;

	order_make(order);
	if (quire_create(&create, &q) != 0)
		return "quire_create() was refused";
	reason = sample_in(q, options, size->bytes, times);
	quire_destroy(q);
	return reason;
}

static void row_print(const struct options *options, const struct size_row *size, enum order order,
		      const struct times *times)
{
	double alloc_max = size->linux_alloc_ms * LINUX_PART;
	double free_max = size->linux_free_ms * LINUX_PART;
	bool met[2] = { times->alloc_ms <= alloc_max, times->free_ms <= free_max };
	char number[4][32];

	printf("| %zu, %s | %s | %.0f | %s | %s | %s | %.0f | %s | %s |\n", size->bytes,
	       order_words[order], report_number(times->alloc_ms, number[0], sizeof(number[0])),
	       size->linux_alloc_ms, report_number(alloc_max, number[1], sizeof(number[1])),
	       met[0] ? "met" : "missed",
	       report_number(times->free_ms, number[2], sizeof(number[2])), size->linux_free_ms,
	       report_number(free_max, number[3], sizeof(number[3])), met[1] ? "met" : "missed");
	fflush(stdout);
	for (unsigned i = 0; i < 2; i++)
		report_tally(met[i]);
	report_csv(options, "pattern,%zu,%s,,%.3f,%.3f,,,,%s\n", size->bytes, order_words[order],
		   times->alloc_ms, times->free_ms, met[0] && met[1] ? "met" : "missed");
}

/* Medians; false if all samples were refused, and then why. */
static bool row_measure(const struct options *options, const struct size_row *size,
			enum order order, struct times *times, const char **refused)
{
	double alloc_ms[REPS_MAX], free_ms[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < options->reps; rep++) {
		struct times sample = { 0 };
		const char *reason = sample_take(options, size, order, &sample);

		if (reason) {
			*refused = reason;
			continue;
		}
		alloc_ms[nr] = sample.alloc_ms;
		free_ms[nr++] = sample.free_ms;
	}
	times->alloc_ms = spread_of(alloc_ms, nr).median;
	times->free_ms = spread_of(free_ms, nr).median;
	return nr > 0;
}

/* The slowest pattern over the fastest; 0 if a pattern was refused. */
static double size_measure(const struct options *options, const struct size_row *size)
{
	double least = 1e18, most = 0;
	bool all = true;

	for (unsigned order = 0; order < ORDERS_NR; order++) {
		const char *refused = NULL;
		struct times times;

		if (!row_measure(options, size, (enum order)order, &times, &refused)) {
			printf("| %zu, %s | - | - | - | - | - | - | - | refused: %s |\n",
			       size->bytes, order_words[order], refused);
			report_tally(false);
			all = false;
			continue;
		}
		row_print(options, size, (enum order)order, &times);
		least = times.free_ms < least ? times.free_ms : least;
		most = times.free_ms > most ? times.free_ms : most;
	}
	return all ? most / least : 0;
}

void bench_percpu_patterns(const struct options *options)
{
	const struct target flat = { .kind = AT_MOST,
				     .limit = SPREAD_MAX,
				     .wanted = "independent of the pattern: at most 1.5" };
	double spreads[SIZES_NR];
	char what[96];

	pin_self(pin_cpu(0));
	printf("\n| a million objects of bytes, freed | alloc ms | Linux | wanted | verdict | free "
	       "ms "
	       "| Linux | wanted | verdict |\n|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned i = 0; i < SIZES_NR; i++)
		spreads[i] = size_measure(options, &sizes[i]);
	report_figures_begin("a free in the slowest pattern over one in the fastest");
	for (unsigned i = 0; i < SIZES_NR; i++) {
		snprintf(what, sizeof(what), "%zu bytes", sizes[i].bytes);
		if (spreads[i] > 0)
			report_figure(
				options,
				&(struct figure){ .what = what, .value = spreads[i], .unit = "" },
				&flat);
		else
			report_refused(options, what, "a pattern was refused");
	}
}
