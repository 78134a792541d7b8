/* SPDX-License-Identifier: MIT */
/* page/options.c - the options of the page allocator */
#include "instance/options.h"

#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "page/kind.h"
#include "page/limit.h"
#include "page/pages.h"

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
	if (!q->dead) {
		struct quire *learning = worker_exclude_begin(q);

		limit_learn(pages_of(learning));
		worker_exclude_end(learning);
	}
	used->options.limit_bytes = load_relaxed(&q->limit_pages) << q->page_shift;
}

const struct option_table page_options = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};
