/* SPDX-License-Identifier: MIT */
/* contenders.c - the contenders: Quire, the floor, and allocators that Debian packages */
#include <string.h>
#include "harness/bench.h"

#define PEER_PROGRAM "quire-bench-peer"

static const struct contender page_contenders[CONTENDERS_NR] = {
	[CONTENDER_QUIRE] = { .name = "quire", .options = "guard:off" },
	[CONTENDER_GUARDED] = { .name = "guard:on", .options = "guard:on" },
	[CONTENDER_FLOOR] = { .name = "floor", .subject = "floor", .match = "-" },
	{ .name = "tcmalloc",
	  .subject = "libc",
	  .library = "libtcmalloc_minimal.so.4",
	  .match = "tcmalloc",
	  .is_peer = true },
	{ .name = "jemalloc",
	  .subject = "libc",
	  .library = "libjemalloc.so.2",
	  .match = "jemalloc",
	  .is_peer = true },
	{ .name = "mimalloc",
	  .subject = "libc",
	  .library = "libmimalloc.so.2",
	  .match = "mimalloc",
	  .is_peer = true },
	{ .name = "glibc", .subject = "libc", .match = "libc.so", .is_peer = true },
	[CONTENDER_MMAP] = { .name = "mmap", .subject = "mmap", .match = "-", .is_peer = true },
};

const struct contender *contenders = page_contenders;

unsigned contender_order(const struct contender *contender, struct child_order *order)
{
	*order = (struct child_order){ .preload = contender->library };
	if (!contender->subject) {
		order->argv[0] = "runner";
		order->argv[1] = contender->options;
		return 2;
	}
	order->program = contender->program ? contender->program : PEER_PROGRAM;
	order->argv[0] = contender->subject;
	order->argv[1] = contender->match;
	order->argv[2] = "-";
	return 3;
}

static bool contender_is_there(const struct contender *contender)
{
	struct child_order order;
	unsigned at = contender_order(contender, &order);
	char reply[256];

	if (!contender->subject)
		return contender->name != NULL;
	order.argv[at] = "probe";
	order.quiet = true; /* the loader complains about a library that is missing */
	return child_run(&order, reply, sizeof(reply)) && strncmp(reply, "ok ", 3) == 0;
}

void contenders_probe(bool *there)
{
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		there[who] = contender_is_there(&contenders[who]);
		if (!there[who] && contenders[who].name)
			fprintf(stderr, "quire-bench: %s is not installed: left out\n",
				contenders[who].name);
	}
}
