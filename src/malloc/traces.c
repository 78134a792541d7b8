/* SPDX-License-Identifier: MIT */
/*
 * malloc/traces.c - stacks of calls, each kept once under a number
 *
 * A program has far fewer places that allocate than blocks, so a trace is kept once: an entry of a table of chains.
 * Entries follow each other in an array, are never taken away, and are constant once a chain has them; the number is
 * an entry's place.  Chains grow at their head by one exchange.  Two threads may add the same trace at once: then it
 * has two numbers, and leaks of it two lines.
 *
 * In a child of fork a chain may lead to an entry that another thread of the parent was writing.  So a walk takes
 * CHAIN_MAX steps at most, and believes no entry that is longer than one can be.
 */
#include "malloc/traces.h"

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/text.h"
#include "machine/atomic.h"
#include "malloc/layer.h"
#include "malloc/sparse.h"

#define ARRAY_BYTES ((size_t)1 << 30) /* of addresses: eight million traces of twelve calls */
#define CHAINS	    ((uint64_t)1 << 14)
#define CHAIN_MAX   256u
#define UNIT_BYTES  16u /* of entries: a number counts these */

struct entry {
	uint32_t next; /* (c) number of the next in the chain; 0: none */
	uint32_t calls_nr;
	uint64_t blocks, bytes; /* sums */
	uint64_t pc[];
};

static struct {
	struct sparse array;	/* (c) */
	uint64_t end;		/* atomic: bytes that were given to entries */
	uint32_t chain[CHAINS]; /* atomic */
} traces;

int traces_init(void)
{
	traces.end = UNIT_BYTES; /* number 0 is none */
	return sparse_init(&traces.array, ARRAY_BYTES, "quire-traces");
}

static struct entry *entry_at(uint32_t trace)
{
	struct entry *entry =
		(struct entry *)(void *)(traces.array.base + (size_t)trace * UNIT_BYTES);

	return trace != 0 && entry->calls_nr <= TRACE_CALLS_MAX ? entry : NULL;
}

static uint64_t hash_of(const uint64_t *pc, unsigned nr)
{
	uint64_t hash = nr;

	for (unsigned i = 0; i < nr; i++)
		hash = (hash ^ pc[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 32);
	return hash;
}

static uint32_t find(uint32_t trace, const uint64_t *pc, unsigned nr)
{
	for (unsigned steps = 0; trace != 0 && steps < CHAIN_MAX; steps++) {
		const struct entry *entry = entry_at(trace);

		if (entry == NULL)
			break;
		if (entry->calls_nr == nr && memcmp(entry->pc, pc, nr * sizeof(*pc)) == 0)
			return trace;
		trace = entry->next;
	}
	return 0;
}

/* A new entry, in no chain yet. */
static uint32_t make(const uint64_t *pc, unsigned nr)
{
	size_t bytes = sizeof(struct entry) + nr * sizeof(*pc);
	uint64_t at;
	struct entry *entry;

	bytes = (bytes + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES;
	if (load_relaxed(&traces.end) + bytes > traces.array.bytes)
		return 0;
	at = fetch_add_relaxed(&traces.end, bytes);
	if (!sparse_touch(&traces.array, at, bytes))
		return 0;
	entry = (struct entry *)(void *)(traces.array.base + at);
	entry->calls_nr = nr;
	memcpy(entry->pc, pc, nr * sizeof(*pc));
	return (uint32_t)(at / UNIT_BYTES);
}

uint32_t traces_keep(const struct malloc_call *call)
{
	uint64_t pc[TRACE_CALLS_MAX];
	unsigned nr = trace_walk(call, pc, TRACE_CALLS_MAX);
	uint32_t *chain = &traces.chain[hash_of(pc, nr) >> 40 & (CHAINS - 1)];
	uint32_t head = load_acquire(chain), trace; /* pairs with the exchange below */

	trace = find(head, pc, nr);
	if (trace != 0)
		return trace;
	trace = make(pc, nr);
	if (trace == 0)
		return 0;
	do
		entry_at(trace)->next = head;
	while (!cas_acq_rel(chain, &head, trace));
	return trace;
}

void traces_put(struct text *text, uint32_t trace)
{
	const struct entry *entry = entry_at(trace);
	bool is_known = true;

	if (entry == NULL)
		text_put(text, " unknown calls");
	for (unsigned i = 0; entry != NULL && is_known && i < entry->calls_nr; i++) {
		text_put(text, " ");
		is_known = trace_put_address(text, entry->pc[i]);
	}
}

/* ---- sums ---- */

void traces_add(uint32_t trace, size_t bytes)
{
	struct entry *entry = entry_at(trace);

	if (entry == NULL)
		return;
	entry->blocks++;
	entry->bytes += bytes;
}

static bool is_larger(const struct entry *a, const struct entry *b)
{
	return b == NULL || a->bytes > b->bytes || (a->bytes == b->bytes && a->blocks > b->blocks);
}

struct trace_sum traces_take_largest(void)
{
	struct trace_sum sum = { .trace = 0 };
	struct entry *largest = NULL;

	for (uint64_t i = 0; i < CHAINS; i++) {
		uint32_t trace = load_acquire(&traces.chain[i]); /* pairs with traces_keep() */

		for (unsigned steps = 0; trace != 0 && steps < CHAIN_MAX; steps++) {
			struct entry *entry = entry_at(trace);

			if (entry == NULL)
				break;
			if (entry->blocks != 0 && is_larger(entry, largest)) {
				largest = entry;
				sum.trace = trace;
			}
			trace = entry->next;
		}
	}
	if (largest == NULL)
		return sum;
	sum.blocks = largest->blocks;
	sum.bytes = largest->bytes;
	largest->blocks = largest->bytes = 0;
	return sum;
}
