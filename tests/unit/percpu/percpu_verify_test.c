/* SPDX-License-Identifier: MIT */
/* The checker is checked: each rule is broken on purpose, and quire_verify() must name it. */
#include "unit/percpu/percpu_case.h"

#include "percpu/index.h"
#include "percpu/map.h"

#define RULE(n) (300 + (n))

struct scene {
	struct quire *q;
	struct percpu *pc;
	void *object; /* 64 bytes */
	uint32_t page;
	struct percpu_page *p;
	struct percpu_chunk *chunk;
	uint64_t *words;
};

static struct scene make_scene(void **state)
{
	struct scene s = { .q = *state, .pc = ((struct quire *)*state)->percpu };
	void *second;

	fill_second_chunk(s.q, &second, 1);
	s.object = quire_alloc_percpu(s.q, 64, 0, 0);
	assert_non_null(quire_alloc_percpu(s.q, 24, 0, 0));
	s.page = place_page(s.pc, place_of(s.pc, s.object));
	s.p = &s.pc->page[s.page];
	s.chunk = chunk_of(s.q, s.object);
	s.words = map_words(s.pc, page_map(s.pc, s.p));
	assert_int_equal(quire_verify(s.q), 0);
	return s;
}

/* Edits, asks, and puts back what was. */
#define BREAKS(label, field, value)                                                                \
	do {                                                                                       \
		__typeof__(field) kept_ = (field);                                                 \
                                                                                                   \
		(field) = (__typeof__(field))(value);                                              \
		assert_int_equal(quire_verify(s.q), RULE(label));                                  \
		(field) = kept_;                                                                   \
		assert_int_equal(quire_verify(s.q), 0);                                            \
	} while (0)

static void p1_counts(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(1, s.p->free_nr, s.p->free_nr - 1);
	BREAKS(1, s.chunk->free_granules, s.chunk->free_granules + 1);
	BREAKS(1, s.chunk->objects_nr, s.chunk->objects_nr + 1);
}

static void p2_boundaries(void **state)
{
	struct scene s = make_scene(state);

	assert_ptr_equal(quire_alloc_percpu(s.q, 64, 0, 0), (char *)s.object + 64);
	quire_free_percpu(s.q, s.object);
	BREAKS(2, s.words[map_half(s.pc)], s.words[map_half(s.pc)] & ~(uint64_t)(1 << 8));
	BREAKS(2, s.words[2 * map_half(s.pc) - 1], (uint64_t)1 << 63);
}

static void p3_longest_is_never_more(void **state)
{
	struct scene s = make_scene(state);
	struct percpu_chunk kept = *s.chunk;
	uint16_t longest = s.p->longest;

	s.p->longest = (uint16_t)(page_granules(s.pc) - 1);
	assert_int_equal(quire_verify(s.q), RULE(3));
	s.p->longest = longest;
	*s.chunk = kept;
}

static void p3_a_map_has_an_object(void **state)
{
	struct scene s = make_scene(state);
	uint64_t used = s.words[0], starts = s.words[map_half(s.pc)];
	uint16_t free_nr = s.p->free_nr;

	BREAKS(3, s.pc->page[page_number(s.pc, 1, 63)].longest, 1);
	assert_int_equal(free_nr + 8, page_granules(s.pc)); /* the object is alone there */
	s.words[0] = s.words[map_half(s.pc)] = 0;
	s.p->free_nr = (uint16_t)page_granules(s.pc);
	assert_int_equal(quire_verify(s.q), RULE(3));
	s.words[0] = used;
	s.words[map_half(s.pc)] = starts;
	s.p->free_nr = free_nr;
}

static void p4_masks(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(4, s.chunk->by_longest[3], s.chunk->by_longest[3] ^ 4);
	BREAKS(4, s.chunk->free_run, s.chunk->free_run + 1);
}

static void p5_maps_are_dense(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(5, s.pc->maps_nr, s.pc->maps_nr + 1);
	BREAKS(5, s.pc->map_page[page_map(s.pc, s.p)], s.page + 1);
	BREAKS(5, s.p->words, s.p->words + 1);
	BREAKS(5, s.pc->maps_ready, s.pc->maps_nr - 1);
}

static void p6_kinds(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(6, s.chunk->kind[KIND_SMALL], s.chunk->kind[KIND_SMALL] ^ (uint64_t)1 << 40);
	BREAKS(6, s.p->kind, KIND_CLOSED);
}

static void p6_fours(void **state)
{
	struct scene s = make_scene(state);
	void *four = quire_alloc_percpu(s.q, 4, 0, 0);
	uint32_t page = place_page(s.pc, place_of(s.pc, four));

	assert_int_equal(s.pc->page[page].kind, KIND_FOURS);
	BREAKS(6, s.pc->page[page].longest, 1);
}

static void p7_free_pages(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(7, s.p->kind, KIND_FREE);
	BREAKS(7, s.p->words, NONE);
	BREAKS(7, s.chunk->free, s.chunk->free ^ (uint64_t)1 << 63);
}

static void p8_sidelined_has_none_empty(void **state)
{
	struct scene s = make_scene(state);
	void *pages[8];

	fill_second_chunk(s.q, pages, 8);
	isolate_now(s.q, 1);
	balance_now(s.q, false);
	assert_int_equal(s.pc->chunk[1].state, CHUNK_SIDELINED);
	BREAKS(8, s.pc->chunk[1].populated, s.pc->chunk[1].populated | (uint64_t)1 << 63);
}

static void p9_objects_are_populated(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(9, s.chunk->populated, s.chunk->populated & ~((uint64_t)1 << (s.page & 63)));
}

static void p10_p11_sums(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(10, s.pc->empty_pages, s.pc->empty_pages + 1);
	BREAKS(11, s.pc->populated_pages, s.pc->populated_pages - 1);
	BREAKS(11, s.pc->maps_ready, s.pc->populated_pages - 1);
}

static void p12_lists(void **state)
{
	struct scene s = make_scene(state);

	BREAKS(12, s.chunk->list, s.chunk->list + 1);
	BREAKS(12, s.chunk->isolated, true);
	BREAKS(12, s.pc->list[s.chunk->list].nr, 0);
	BREAKS(12, s.pc->list[s.chunk->list].tail, NONE);
	BREAKS(12, s.chunk->prev, 1);
	BREAKS(12, s.pc->chunks_nr, s.pc->chunks_nr + 1);
}

static void set_state(struct percpu *pc, uint32_t chunk, enum chunk_state chunk_state)
{
	lock_token token = lock_acquire(&pc->lock);

	pc->chunk[chunk].state = (uint8_t)chunk_state;
	list_move_locked(pc, chunk, chunk_list_of(&pc->chunk[chunk]), false);
	lock_release(&pc->lock, token);
}

static void p12_free_is_without_objects(void **state)
{
	struct quire *q = *state;
	void *page;

	fill_second_chunk(q, &page, 1);
	set_state(q->percpu, 1, CHUNK_FREE);
	assert_int_equal(quire_verify(q), RULE(12));
	set_state(q->percpu, 1, CHUNK_ACTIVE);
	quire_free_percpu(q, page);
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_FREE);
	set_state(q->percpu, 1, CHUNK_ACTIVE);
	assert_int_equal(quire_verify(q), RULE(12));
	set_state(q->percpu, 1, CHUNK_FREE);
}

static void p13_stacks(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	struct scene s = { .q = q, .pc = pc };
	struct stack_header *header;
	uint32_t *entries, slot;
	void *object;

	if (pc->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	while (cache_count(pc) == 0) /* until it is warm, however busy the machine is */
		quire_free_percpu(q, quire_alloc_percpu(q, 24, 0, 0));
	object = quire_alloc_percpu(q, 24, 0, 0);
	quire_free_percpu(q, quire_alloc_percpu(q, 24, 0, 0));
	quire_free_percpu(q, object);
	assert_in_range(cache_count(pc), 2, CACHE_FIRST);
	slot = (uint32_t)stack_slot(&pc->stacks.cpu);
	header = stack_header(&pc->stacks.cpu, slot, 2);
	entries = stack_entries(&pc->stacks.cpu, slot);
	BREAKS(13, entries[header->top - 1], entries[header->top - 2]); /* twice */
	BREAKS(13, entries[header->top - 1], entries[header->top - 1] + 1);
	BREAKS(13, *(uint64_t *)quire_per_cpu_ptr(object, pc->home), 0);
}

static void p14_index(void **state)
{
	struct scene s = make_scene(state);

	assert_non_null(quire_alloc_percpu(s.q, 4, 0, 0));
	for (uint32_t set = 0; set < SETS_NR; set++)
		for (unsigned node = 0; node <= 2; node++) /* one of each level */
			BREAKS(14, s.pc->index[node * SETS_NR + set],
			       s.pc->index[node * SETS_NR + set] ^ 1);
	BREAKS(14, s.chunk->fours, 0);
}

/* ---- what debug builds recount at every unlock ---------------------------------------------------- */

static void recount(void *arg)
{
	struct percpu *pc = arg;
	lock_token token = lock_acquire(&pc->lock);

	percpu_recount_locked(pc);
	lock_release(&pc->lock, token);
}

/* In the child: fork takes the lock too, and asks when it lets go. */
static void hide_a_page(void *arg)
{
	struct percpu *pc = arg;

	pc->chunk[1].populated |= (uint64_t)1 << 63;
	recount(pc);
}

static void overstate_the_reserve(void *arg)
{
	struct percpu *pc = arg;

	pc->empty_pages++;
	recount(pc);
}

static void p8_is_recounted(void **state)
{
	struct quire *q = *state;
	void *pages[8];

	fill_second_chunk(q, pages, 8);
	isolate_now(q, 1);
	balance_now(q, false);
	expect_life(recount, q->percpu);
	expect_death(hide_a_page, q->percpu, "quire: bug: CHECK(!hides_pages(");
}

static void p10_is_recounted(void **state)
{
	struct quire *q = *state;

	expect_life(recount, q->percpu);
	expect_death(overstate_the_reserve, q->percpu,
		     "quire: bug: CHECK(empty == pc->empty_pages");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PERCPU_TEST(p1_counts),
		PERCPU_TEST(p2_boundaries),
		PERCPU_TEST(p3_longest_is_never_more),
		PERCPU_TEST(p3_a_map_has_an_object),
		PERCPU_TEST(p4_masks),
		PERCPU_TEST(p5_maps_are_dense),
		PERCPU_TEST(p6_kinds),
		PERCPU_TEST(p6_fours),
		PERCPU_TEST(p7_free_pages),
		PERCPU_TEST(p8_sidelined_has_none_empty),
		PERCPU_TEST(p9_objects_are_populated),
		PERCPU_TEST(p10_p11_sums),
		PERCPU_TEST(p12_lists),
		PERCPU_TEST(p12_free_is_without_objects),
		PERCPU_TEST(p13_stacks),
		PERCPU_TEST(p14_index),
		PERCPU_TEST(p8_is_recounted),
		PERCPU_TEST(p10_is_recounted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
