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
};

static void used(const struct quire *q, struct options_used *used)
{
	used->options.zones = q->nodes_nr;
	used->options.limit_bytes = load_relaxed(&q->limit_pages) << q->page_shift;
}

const struct option_table page_options = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};
