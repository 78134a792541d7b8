/* SPDX-License-Identifier: MIT */
#include "stress.h"

#include "quire_test.h"

unsigned stress_random(uint64_t *state, unsigned end)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((*state >> 33) * end >> 31);
}

void stress_begin(struct stress_owner *owner, struct quire *q, unsigned number)
{
	*owner = (struct stress_owner){
		.q = q, .random = number + 1, .name = (uint64_t)(number + 1) << 40, .order_max = 3
	};
}

static uint64_t *page_word(const struct stress_owner *owner, const struct stress_block *block,
			   unsigned page)
{
	return (uint64_t *)(void *)((char *)block->addr + page * quire_page_bytes(owner->q));
}

/* Every page of a small block, the first and the last of a large one. */
static unsigned page_step(unsigned order)
{
	return order <= 3 ? 1 : (1u << order) - 1;
}

/* Pairs with the load in stress_any(). */
static void block_set(struct stress_block *block, void *addr)
{
	__atomic_store_n(&block->addr, addr, __ATOMIC_RELAXED);
}

static void block_alloc(struct stress_owner *owner, struct stress_block *block)
{
	unsigned type = stress_random(&owner->random, 3);
	unsigned order_end = stress_random(&owner->random, 64) == 0 ? owner->order_max : 3;

	block->order = stress_random(&owner->random, order_end + 1);
	block->name = ++owner->name;
	owner->allocs++;
	block_set(block, quire_alloc_pages(owner->q, block->order, owner->flags | type));
	if (block->addr == NULL) {
		owner->refused++;
		return;
	}
	for (unsigned page = 0; page < 1u << block->order; page += page_step(block->order))
		*page_word(owner, block, page) = block->name;
}

static void block_free(struct stress_owner *owner, struct stress_block *block)
{
	void *addr = block->addr;

	for (unsigned page = 0; page < 1u << block->order; page += page_step(block->order))
		owner->broken += *page_word(owner, block, page) != block->name;
	block_set(block, NULL);
	quire_free_pages(owner->q, addr, block->order);
}

static unsigned slots_nr(const struct stress_owner *owner)
{
	return owner->slots_nr != 0 ? owner->slots_nr : STRESS_SLOTS;
}

void stress_step(struct stress_owner *owner)
{
	struct stress_block *block = &owner->blocks[stress_random(&owner->random, slots_nr(owner))];

	if (block->addr != NULL)
		block_free(owner, block);
	else
		block_alloc(owner, block);
}

void stress_end(struct stress_owner *owner)
{
	for (unsigned i = 0; i < STRESS_SLOTS; i++) {
		if (owner->blocks[i].addr != NULL)
			block_free(owner, &owner->blocks[i]);
	}
}

void *stress_any(const struct stress_owner *owner, uint64_t *random)
{
	/* The owner may change it meanwhile: any address of the instance will do. */
	return __atomic_load_n(&owner->blocks[stress_random(random, slots_nr(owner))].addr,
			       __ATOMIC_RELAXED);
}

void stress_assert_conserved(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(quire_page_stat_read(q, &stat), 0);
	assert_u64_eq(stat.allocated_pages, 0);
	assert_u64_eq(stat.free_pages + stat.cached_pages, stat.online_pages);
	quire_drain_all(q);
	assert_int_equal(quire_page_stat_read(q, &stat), 0);
	assert_u64_eq(stat.cached_pages, 0);
	assert_u64_eq(stat.free_pages, stat.online_pages);
	assert_int_equal(quire_verify(q), 0);
}
