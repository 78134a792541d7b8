/* SPDX-License-Identifier: MIT */
/* page/options.c - the options of the page allocator */
#include "instance/options.h"

#include "instance/instance.h"
#include "machine/atomic.h"
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
	{ .name = "page_poison",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(page_poison),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "off",
	  .does = "fill free pages, and look for writes to them when they are allocated; "
		  "without sequences; no effect under valgrind" },
};

static void used(const struct quire *q, struct options_used *used)
{
	used->options.zones = q->nodes_nr;
	used->options.page_poison = q->page_poison ? QUIRE_ON : QUIRE_OFF;
	used->options.limit_bytes = load_relaxed(&q->limit_pages) << q->page_shift;
}

const struct option_table page_options = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};
