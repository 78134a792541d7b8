/* SPDX-License-Identifier: MIT */
/*
 * hooks_sim.c - nothing slips by: each form of access reaches its hook
 *
 * The other half of the promise, that an object calls nothing but hooks and the machine, is
 * checked on the objects' undefined symbols when they are linked (scripts/simlink).
 */
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/sim/hooks.h"
#include "machine/sim/sim.h"

struct forms {
	uint8_t one;
	uint16_t two;
	uint32_t four;
	uint64_t eight;
	struct {
		uint64_t a[5];
	} from, to;
	char packed[16];
	unsigned bits : 5;
	volatile uint32_t marked;
	uint32_t atomic;
};

struct __attribute__((packed)) unaligned {
	char first;
	uint32_t word;
};

/* Hooks of a kind that one access made. */
#define SEEN(kind, access)                                                                         \
	do {                                                                                       \
		uint64_t before_ = sim_hooks_of(kind);                                             \
		access;                                                                            \
		SIM_CHECK(sim_hooks_of(kind) > before_);                                           \
	} while (0)

static void plain_forms(struct forms *f)
{
	uint32_t sum = 0;

	SEEN(POINT_WRITE, f->one = 1);
	SEEN(POINT_WRITE, f->two = 2);
	SEEN(POINT_WRITE, f->four = 3);
	SEEN(POINT_WRITE, f->eight = 4);
	SEEN(POINT_READ, sum += f->one);
	SEEN(POINT_READ, sum += f->two);
	SEEN(POINT_READ, sum += f->four);
	SEEN(POINT_READ, sum += (uint32_t)f->eight);
	SEEN(POINT_WRITE, f->bits = 7);
	SEEN(POINT_READ, sum += f->bits);
	SEEN(POINT_WRITE, ((struct unaligned *)(void *)f->packed)->word = sum);
	SEEN(POINT_READ, sum += ((struct unaligned *)(void *)f->packed)->word);
	check_u64_eq(sum, 2u * (1 + 2 + 3 + 4 + 7));
}

static void block_forms(struct forms *f)
{
	SEEN(POINT_WRITE, memset(&f->from, 1, sizeof(f->from)));
	SEEN(POINT_WRITE, memcpy(&f->to, &f->from, sizeof(f->to)));
	SEEN(POINT_READ, memcpy(&f->to, &f->from, sizeof(f->to)));
	SEEN(POINT_READ, SIM_CHECK(memcmp(&f->to, &f->from, sizeof(f->to)) == 0));
	SEEN(POINT_WRITE, f->to = f->from);
	SEEN(POINT_READ, f->to = f->from);
}

static void marked_forms(struct forms *f)
{
	uint32_t expected = 4;

	SEEN(POINT_STORE, f->marked = 1);
	SEEN(POINT_LOAD, check_u64_eq(f->marked, 1));
	SEEN(POINT_STORE, store_release(&f->atomic, 1));
	SEEN(POINT_LOAD, check_u64_eq(load_acquire(&f->atomic), 1));
	SEEN(POINT_RMW, fetch_add_relaxed(&f->atomic, 3));
	SEEN(POINT_RMW, SIM_CHECK(cas_acq_rel(&f->atomic, &expected, 9)));
	SEEN(POINT_RMW, check_u64_eq(exchange_acquire(&f->atomic, 2), 9));
	SEEN(POINT_RMW, fetch_or_acq_rel(&f->atomic, 4));
	SEEN(POINT_FENCE, fence_seq_cst());
}

static void all_forms(void *arg)
{
	plain_forms(arg);
	block_forms(arg);
	marked_forms(arg);
}

SIM_TEST(every_form_of_access_is_seen, .cpus_nr = 1, .events = SIM_PLAIN | SIM_RACE)
{
	sim_cpu(sim, 0, all_forms, sim_zalloc(sim, sizeof(struct forms)));
	sim_run(sim);
}

/* ---- and what does slip by ---- */

__attribute__((noinline, no_sanitize("thread"))) static void adds_unseen(uint64_t *word)
{
	*word += 1;
}

static void writes_unseen(void *arg)
{
	adds_unseen(arg);
}

/* The second run begins with what the first one has left. */
SIM_TEST(checker_sees_an_unseen_write, .cpus_nr = 1, .expect = "unseen write")
{
	uint64_t *word = sim_zalloc(sim, sizeof(*word));

	sim_cpu(sim, 0, writes_unseen, word);
	sim_run(sim);
	check_u64_eq(*word, 1);
}

/* Nothing fails in any run. */
SIM_TEST(checker_sees_an_unseen_write_without_a_finding, .cpus_nr = 1, .expect = "unseen write")
{
	sim_cpu(sim, 0, writes_unseen, sim_zalloc(sim, sizeof(uint64_t)));
	sim_run(sim);
}
