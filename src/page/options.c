/* SPDX-License-Identifier: MIT */
/* page/options.c - the options of the page allocator */
#include "instance/options.h"

#include <limits.h>

#include "page/instance.h"
#include "page/kind.h"

static const struct option_key keys[] = {
	{ .name = "zones",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(zones),
	  .min = 1,
	  .max = 8,
	  .takes = "1..8",
	  .by_default = "1",
	  .does = "equal parts of the memory, one per node" },
};

static void used(const struct quire *q, struct options_used *used)
{
	struct quire_options *options = &used->options;

	options->limit_bytes = q->limit_pages << q->page_shift;
	options->slots = q->stacks.cpu.doors_nr;
	options->zones = q->zones_nr;
	options->page_shift = q->page_shift;
	options->decay_ms = (uint32_t)(q->decay_base_ns / 1000000);
	options->thp = option_switch(q->options.thp, QUIRE_AUTO);
	options->rseq = q->stacks.cpu.slots_nr != 0 ? QUIRE_ON : QUIRE_OFF;
	options->report = q->report ? QUIRE_ON : QUIRE_OFF;
	options->worker = QUIRE_WORKER_OFF;
	if (q->report)
		options->worker = q->options.worker != QUIRE_WORKER_DEFAULT ? q->options.worker
									    : QUIRE_WORKER_THREAD;
	options->backing = q->shared ? QUIRE_BACKING_MEMFD : QUIRE_BACKING_ANON;
	options->cache = option_switch(q->options.cache, QUIRE_ON);
	used->isolated = q->isolated_cpus;
	used->isolated_nr = sizeof(q->isolated_words) * CHAR_BIT;
}

static const struct option_table table = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};

const struct module_kind page_kind = { .options = &table };
