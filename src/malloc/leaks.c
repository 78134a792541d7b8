/* SPDX-License-Identifier: MIT */
/*
 * malloc/leaks.c - blocks that nobody freed, at the end of the process
 *
 * Nobody looks for pointers to them: a block that is still in use counts, too.  Grouped by the trace of the
 * allocation, largest first, LINES_MAX lines.  A child of fork reports what it allocated itself.
 */
#include "malloc/debug.h"

#include "base/text.h"
#include "machine/atomic.h"
#include "malloc/records.h"
#include "malloc/traces.h"

#define LINES_MAX  16u
#define LINE_BYTES 1280u

struct leaks {
	uint32_t generation;
	uint64_t blocks, bytes;
};

static void add(const struct record *record, void *arg)
{
	struct leaks *leaks = arg;
	struct record_facts facts = record_read(load_relaxed(&record->word));
	struct trace *trace;

	if (facts.state != RECORD_LIVE || facts.generation != leaks->generation)
		return;
	leaks->blocks++;
	leaks->bytes += facts.bytes;
	trace = traces_at(&malloc_debug_traces, load_relaxed(&record->made));
	if (trace == NULL)
		return;
	trace->blocks++;
	trace->bytes += facts.bytes;
}

/* ---- the largest sums ---- */

static void choose_larger(struct trace *trace, void *arg)
{
	struct trace **largest = arg;

	if (trace->blocks == 0)
		return;
	if (*largest == NULL || trace->bytes > (*largest)->bytes ||
	    (trace->bytes == (*largest)->bytes && trace->blocks > (*largest)->blocks))
		*largest = trace;
}

struct sum {
	const struct trace *trace; /* NULL: unknown */
	uint64_t blocks, bytes;
};

/* Takes the largest sum away and returns it; no blocks: there is none left. */
static struct sum take_largest(void)
{
	struct trace *largest = NULL;
	struct sum sum = { .blocks = 0 };

	traces_each(&malloc_debug_traces, choose_larger, &largest);
	if (largest == NULL)
		return sum;
	sum = (struct sum){ .trace = largest, .blocks = largest->blocks, .bytes = largest->bytes };
	largest->blocks = largest->bytes = 0;
	return sum;
}

/* ---- lines ---- */

static void put_sum(struct text *text, uint64_t bytes, uint64_t blocks)
{
	text_put_u64(text, bytes);
	text_put(text, " bytes in ");
	text_put_u64(text, blocks);
	text_put(text, blocks == 1 ? " block" : " blocks");
}

static void report_head(const struct leaks *leaks, char *line)
{
	struct text text;

	text_init(&text, line, LINE_BYTES);
	text_put(&text, "quire: not freed: ");
	put_sum(&text, leaks->bytes, leaks->blocks);
	text_put(&text, ", process ");
	text_put_u64(&text, debug_log_process());
	text_put(&text, "\n");
	debug_log(line);
}

static void report_sum(const struct sum *sum, char *line)
{
	struct text text;

	text_init(&text, line, LINE_BYTES);
	text_put(&text, "quire:   ");
	put_sum(&text, sum->bytes, sum->blocks);
	text_put(&text, sum->trace != NULL ? ", allocated by" : " allocated elsewhere");
	if (sum->trace != NULL)
		trace_put(&text, sum->trace);
	text_end_line(&text);
	debug_log(line);
}

void leaks_report(uint32_t generation)
{
	struct leaks leaks = { .generation = generation };
	struct sum rest, sum;
	char line[LINE_BYTES];

	records_each(add, &leaks);
	if (leaks.blocks == 0)
		return;
	report_head(&leaks, line);
	rest = (struct sum){ .blocks = leaks.blocks, .bytes = leaks.bytes };
	for (unsigned i = 0; i < LINES_MAX; i++) {
		sum = take_largest();
		if (sum.blocks == 0)
			break;
		report_sum(&sum, line);
		rest.blocks -= sum.blocks;
		rest.bytes -= sum.bytes;
	}
	if (rest.blocks != 0)
		report_sum(&rest, line);
}
