/* SPDX-License-Identifier: MIT */
/*
 * malloc/traces.c - stacks of calls, each kept once under a number
 *
 * A program has far fewer places that allocate than blocks, so a trace is kept once, in a table of chains.
 * Traces follow each other in the memory, are never taken away, and are constant but for their sums once a chain has
 * them; the number is a trace's place.  Chains grow at their head by one exchange.  Two threads may add the same trace at
 * once: then it has two numbers, and leaks of it two lines.
 *
 * In a child of fork, and in memory of a process that was killed, a chain may lead to a trace that another thread was
 * writing.  So a walk takes CHAIN_MAX steps at most, and believes no trace that is longer than one can be.
 */
#include "malloc/traces.h"

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/round.h"
#include "machine/atomic.h"

#ifndef TRACES_CHAINS
#define TRACES_CHAINS ((uint64_t)1 << 14)
#endif
#define CHAIN_MAX  256u
#define UNIT_BYTES 16u /* of traces: a number counts these */

struct traces_head {
	uint64_t end;	  /* atomic: bytes that were given to traces, from the head on */
	uint64_t lost_nr; /* atomic */
	uint32_t chain[TRACES_CHAINS]; /* atomic */
};

#define FIRST_AT ((sizeof(struct traces_head) + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES)

void traces_open(struct traces *traces, void *memory, size_t bytes)
{
	uint64_t none = 0;

	traces->head = memory;
	traces->bytes = bytes;
	traces->array.base = NULL;
	(void)cas_relaxed(&traces->head->end, &none, (uint64_t)FIRST_AT); /* else there are some */
}

int traces_init(struct traces *traces, size_t bytes, const char *name)
{
	struct sparse array;
	int error = sparse_init(&array, bytes, name);

	if (error == 0 && !sparse_touch(&array, 0, FIRST_AT)) {
		sparse_fini(&array);
		error = -ENOMEM;
	}
	if (error != 0)
		return error;
	traces_open(traces, array.base, array.bytes);
	traces->array = array;
	return 0;
}

void traces_fini(struct traces *traces)
{
	sparse_fini(&traces->array);
}

void traces_count_lost(struct traces *traces)
{
	fetch_add_relaxed(&traces->head->lost_nr, 1u);
}

uint64_t traces_lost_nr(const struct traces *traces)
{
	return load_relaxed(&traces->head->lost_nr);
}

uint64_t traces_used(const struct traces *traces)
{
	return load_relaxed(&traces->head->end);
}

struct trace *traces_at(const struct traces *traces, uint32_t number)
{
	size_t at = (size_t)number * UNIT_BYTES;
	struct trace *trace;

	if (at < FIRST_AT || at > traces->bytes - sizeof(*trace))
		return NULL;
	trace = (struct trace *)(void *)((char *)traces->head + at);
	if (trace->calls_nr > TRACE_CALLS_MOST ||
	    trace->calls_nr > (traces->bytes - at - sizeof(*trace)) / sizeof(trace->pc[0]))
		return NULL;
	return trace;
}

static uint64_t hash_of(const uint64_t *pc, unsigned nr)
{
	uint64_t hash = nr;

	for (unsigned i = 0; i < nr; i++)
		hash = (hash ^ pc[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 32);
	return hash;
}

static uint32_t find(const struct traces *traces, uint32_t number, const uint64_t *pc, unsigned nr)
{
	for (unsigned steps = 0; number != 0 && steps < CHAIN_MAX; steps++) {
		const struct trace *trace = traces_at(traces, number);

		if (trace == NULL)
			break;
		if (trace->calls_nr == nr && memcmp(trace->pc, pc, nr * sizeof(*pc)) == 0)
			return number;
		number = trace->next;
	}
	return 0;
}

/* A new trace, in no chain yet. */
static uint32_t make(struct traces *traces, const uint64_t *pc, unsigned nr)
{
	size_t bytes = sizeof(struct trace) + nr * sizeof(*pc);
	struct trace *trace;
	uint64_t at;

	bytes = round_up(bytes, UNIT_BYTES);
	if (traces_used(traces) + bytes > traces->bytes)
		return 0;
	at = fetch_add_relaxed(&traces->head->end, bytes);
	if (at + bytes > traces->bytes) /* others took the rest */
		return 0;
	if (traces->array.base != NULL && !sparse_touch(&traces->array, at, bytes))
		return 0;
	trace = (struct trace *)(void *)((char *)traces->head + at);
	trace->calls_nr = nr;
	memcpy(trace->pc, pc, nr * sizeof(*pc));
	return (uint32_t)(at / UNIT_BYTES);
}

uint32_t traces_keep(struct traces *traces, const uint64_t *pc, unsigned nr)
{
	uint32_t *chain = &traces->head->chain[hash_of(pc, nr) >> 40 & (TRACES_CHAINS - 1)];
	uint32_t head = load_acquire(chain), number; /* pairs with the exchange below */

	CHECK(nr <= TRACE_CALLS_MOST);
	number = find(traces, head, pc, nr);
	if (number != 0)
		return number;
	number = make(traces, pc, nr);
	if (number == 0)
		return 0;
	do
		traces_at(traces, number)->next = head;
	while (!cas_release(chain, &head, number)); /* pairs with the loads of chains */
	return number;
}

void traces_each(const struct traces *traces, void (*call)(struct trace *trace, void *arg),
		 void *arg)
{
	for (uint64_t i = 0; i < TRACES_CHAINS; i++) {
		/* Pairs with traces_keep(). */
		uint32_t number = load_acquire(&traces->head->chain[i]);

		for (unsigned steps = 0; number != 0 && steps < CHAIN_MAX; steps++) {
			struct trace *trace = traces_at(traces, number);

			if (trace == NULL)
				break;
			number = trace->next;
			call(trace, arg);
		}
	}
}
