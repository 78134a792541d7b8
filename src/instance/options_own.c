/* SPDX-License-Identifier: MIT */
/* instance/options_own.c - the instance's own options, and those that several modules use */
#include "instance/options.h"

#include <limits.h>
#include <stddef.h>

#include "instance/instance.h"
#include "instance/kind.h"

/* Least: one block of 2 MiB.  Most: frames are numbered in 32 bits, the last number means none, and
 * pages have at least 4 KiB; rounded down to a block. */
#define LIMIT_BYTES_MIN	  ((uint64_t)2 << 20)
#define LIMIT_BYTES_MAX	  OPTION_BYTES_MAX
/* A day: a longer decay is more likely a mistake in the unit. */
#define DECAY_MS_MAX	  86400000u
/* Twice as much is the largest countdown, of 32 bits (malloc/sampled.c). */
#define SAMPLE_MAX	  1000000000u
/* As odds.h of malloc has it. */
#define PROFILE_BYTES_MAX ((uint64_t)64 << 20)
#define SIGNAL_MAX	  64u

static const char *const thp_words[] = { "on", "off", "auto", NULL };
static const char *const worker_words[] = { "thread", "inline", "off", NULL };
static const char *const backing_words[] = { "anon", "memfd", NULL };

_Static_assert(QUIRE_ON == 1 && QUIRE_OFF == 2 && QUIRE_AUTO == 3,
	       "option_switch_words and thp_words are in this order");
_Static_assert(QUIRE_WORKER_THREAD == 1 && QUIRE_WORKER_INLINE == 2 && QUIRE_WORKER_OFF == 3,
	       "worker_words is in this order");
_Static_assert(QUIRE_BACKING_MEMFD == 2, "backing_words is in this order");

static const struct option_key keys[] = {
	{ .name = "limit",
	  .kind = OPTION_SIZE,
	  .offset = OPTION_FIELD(limit_bytes),
	  .min = LIMIT_BYTES_MIN,
	  .max = LIMIT_BYTES_MAX,
	  .takes = "a size from 2m to below 16t",
	  .by_default = "the machine's memory",
	  .does = "the most memory that may be allocated" },
	{ .name = "slots",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(slots),
	  .min = 1,
	  .max = OPTIONS_CPUS_MAX,
	  .takes = "1..8192",
	  .by_default = "one per possible CPU",
	  .does = "the most sets of per-CPU lists" },
	{ .name = "page_shift",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(page_shift),
	  .min = 12,
	  .max = 16,
	  .takes = "12..16",
	  .by_default = "the system's",
	  .does = "a page has 2^page_shift bytes; at least the system's" },
	{ .name = "decay",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(decay_ms),
	  .min = 1,
	  .max = DECAY_MS_MAX,
	  .unit = "ms",
	  .takes = "1..86400000",
	  .by_default = "1000",
	  .does = "milliseconds after which unused memory is returned" },
	{ .name = "thp",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(thp),
	  .words = thp_words,
	  .takes = "on, off or auto",
	  .by_default = "auto",
	  .does = "huge pages for everything, for nothing, or where memory is likely to be "
		  "used whole" },
	{ .name = "rseq",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(rseq),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "per-CPU sequences, if the system has them" },
	{ .name = "report",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(report),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "return free memory over time" },
	{ .name = "worker",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(worker),
	  .words = worker_words,
	  .takes = "thread, inline or off",
	  .by_default = "thread",
	  .does = "memory is returned by a thread, by allocations that may wait, or only by "
		  "quire_poll()" },
	{ .name = "isolated",
	  .kind = OPTION_CPUS,
	  .offset = OPTION_FIELD(isolated),
	  .takes = "CPUs such as 2-5+8, or none",
	  .by_default = "none",
	  .does = "CPUs that are never interrupted for their page lists" },
	{ .name = "backing",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(backing),
	  .words = backing_words,
	  .takes = "anon or memfd",
	  .by_default = "anon",
	  .does = "private memory, or shared frames that quire_vmap() can map again" },
	{ .name = "cache",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(cache),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "cache freed areas for reuse without a system call" },
	{ .name = "debug",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(debug),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "off",
	  .does = "malloc looks for misuse of each block; no effect on other instances" },
	{ .name = "hardened",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(hardened),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "off",
	  .does = "malloc makes misuse hard to exploit; no effect on other instances" },
	{ .name = "sample",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(sample),
	  .min = 0,
	  .max = SAMPLE_MAX,
	  .takes = "0..1000000000",
	  .by_default = "0: none",
	  .does = "malloc guards one block in so many; no effect on other instances, nor with "
		  "debug or hardened" },
	{ .name = "profile",
	  .kind = OPTION_SIZE,
	  .offset = OPTION_FIELD(profile_bytes),
	  .min = 0,
	  .max = PROFILE_BYTES_MAX,
	  .takes = "a size from 16k to 64m, or 0",
	  .by_default = "0: off",
	  .does = "malloc samples the heap, one block in so many bytes, rounded up to a power "
		  "of two; no effect on other instances, nor with debug, hardened or sample" },
	{ .name = "profile_signal",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(profile_signal),
	  .min = 0,
	  .max = SIGNAL_MAX,
	  .takes = "0..64",
	  .by_default = "0: none",
	  .does = "the signal that turns malloc's profile on, and off with a file; no effect on "
		  "other instances" },
	{ .name = "strict",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(strict),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "off",
	  .does = "a wrong option ends a program that malloc was preloaded into; no effect on "
		  "the default instance, whose wrong options always do" },
};

static void used(const struct quire *q, struct options_used *used)
{
	struct quire_options *options = &used->options;

	options->slots = q->cpus.all_slots_nr;
	options->page_shift = q->page_shift;
	options->decay_ms = (uint32_t)(q->decay_base_ns / 1000000);
	options->thp = option_switch(q->options.thp, QUIRE_AUTO);
	options->rseq = q->cpus.slots_nr != 0 ? QUIRE_ON : QUIRE_OFF;
	options->report = q->report ? QUIRE_ON : QUIRE_OFF;
	options->worker = QUIRE_WORKER_OFF;
	if (q->report)
		options->worker = q->options.worker != QUIRE_WORKER_DEFAULT ? q->options.worker
									    : QUIRE_WORKER_THREAD;
	options->backing = q->shared ? QUIRE_BACKING_MEMFD : QUIRE_BACKING_ANON;
	options->cache = option_switch(q->options.cache, QUIRE_ON);
	options->debug = q->debug ? QUIRE_ON : QUIRE_OFF;
	options->hardened = q->hardened ? QUIRE_ON : QUIRE_OFF;
	options->strict = option_switch(q->options.strict, QUIRE_OFF);
	options->sample = q->sample;
	options->profile_bytes = q->profile_bytes;
	options->profile_signal = q->options.profile_signal;
	used->isolated = q->isolated_cpus;
	used->isolated_nr = sizeof(q->isolated_words) * CHAR_BIT;
}

static const struct option_table table = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};

const struct module_kind instance_kind = { .options = &table };
