/* SPDX-License-Identifier: MIT */
/* Allocating and freeing: sizes, alignment, zeroes, refusals, callers who may not wait, variables. */
#include "unit/percpu/percpu_case.h"

#include "percpu/stat.h"

QUIRE_DEFINE_PER_CPU(long, defined_long) = 42;

static void sizes_and_alignments_are_kept(void **state)
{
	struct quire *q = *state;

	for (size_t align = 1; align <= page_bytes(q); align *= 2) {
		for (size_t bytes = 1; bytes <= QUIRE_PERCPU_BYTES_MAX; bytes = bytes * 3 + 1) {
			char *ptr = quire_alloc_percpu(q, bytes, align, 0);

			assert_non_null(ptr);
			assert_int_equal((uintptr_t)ptr % align, 0);
			assert_in_range(quire_percpu_bytes(q, ptr), bytes, bytes + 7);
			quire_free_percpu(q, ptr);
		}
	}
}

static void four_bytes_cost_four(void **state)
{
	struct quire *q = *state;
	char *first = quire_alloc_percpu(q, 4, 4, 0), *second = quire_alloc_percpu(q, 3, 0, 0);

	assert_ptr_equal(second, first + 4);
	assert_int_equal(quire_percpu_bytes(q, first), 4);
	quire_free_percpu(q, first);
	assert_int_equal(quire_percpu_bytes(q, first), 0);
	assert_int_equal(quire_percpu_bytes(q, second), 4);
}

static void wrong_requests_are_refused(void **state)
{
	static const struct {
		size_t bytes, align;
		unsigned flags;
	} wrong[] = {
		{ 0, 8, 0 },
		{ QUIRE_PERCPU_BYTES_MAX + 1, 8, 0 },
		{ 8, 3, 0 },
		{ 8, 1u << 20, 0 },
		{ 8, 12, 0 },
		{ 8, 8, QUIRE_MOVABLE },
		{ 8, 8, QUIRE_NODE(0) },
	};
	struct quire *q = *state;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		assert_null(quire_alloc_percpu(q, wrong[i].bytes, wrong[i].align, wrong[i].flags));
		assert_int_equal(errno, EINVAL);
	}
}

/* Freed dirty in all units, alone and in the middle of others: every reuse reads zero. */
static void every_object_begins_as_zeroes(void **state)
{
	struct quire *q = *state;

	for (unsigned i = 0; i < 2000; i++) {
		size_t bytes = 1 + i * 37 % 3000;
		char *ptr = quire_alloc_percpu(q, bytes, 0, 0);

		for (unsigned unit = 0; unit < UNITS; unit++) {
			char *copy = quire_per_cpu_ptr(ptr, unit);

			for (size_t k = 0; k < bytes; k++)
				assert_int_equal(copy[k], 0);
			memset(copy, 0x5a, bytes);
		}
		if (i % 7 != 0)
			quire_free_percpu(q, ptr);
	}
}

#define MANY_UNITS 100u

/* Units that have memory behind a page of an object. */
static unsigned written_units(const void *ptr)
{
	const char *page = (const char *)((uintptr_t)ptr & ~(uintptr_t)(mem_page_bytes() - 1));
	uint64_t masks[MANY_UNITS];
	unsigned n = 0;
	const struct mem_stretches stretches = { .addr = page,
						 .stride_bytes = QUIRE_PERCPU_STRIDE,
						 .page_bytes = mem_page_bytes(),
						 .nr = MANY_UNITS,
						 .pages = 1 };

	assert_int_equal(mem_find_written(&stretches, masks), 0);
	for (unsigned i = 0; i < MANY_UNITS; i++)
		n += masks[i] != 0;
	return n;
}

/* Of 100 CPUs two write.  Half of the objects are freed and allocated again, all of them at once and
 * then one by one: they read zero where they were written, and no CPU more has memory. */
static void reuse_puts_no_memory_where_nobody_wrote(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .units = MANY_UNITS });
	static const unsigned writer[] = { 3, 77 };
	uint64_t *ptr[400];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = round == 0 ? 0 : 1; i < 400; i += round == 0 ? 1 : 2) {
			if (round == 2)
				quire_free_percpu(q, ptr[i]);
			ptr[i] = quire_alloc_percpu(q, round == 2 ? 24 : 8, 8, 0);
			for (unsigned k = 0; k < 2; k++) {
				uint64_t *copy = quire_per_cpu_ptr(ptr[i], writer[k]);

				assert_int_equal(*copy, 0);
				*copy = ~UINT64_C(0);
			}
			assert_int_equal(written_units(ptr[i]), 2);
		}
		for (unsigned i = 1; round == 0 && i < 400; i += 2)
			quire_free_percpu(q, ptr[i]);
	}
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* Every unit is written: then every copy is looked at. */
static void check_reuse_clears_all_units(struct quire *q)
{
	uint32_t *ptr[3];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 3; i++) {
			ptr[i] = quire_alloc_percpu(q, i == 0 ? 4 : 4000 * i, 0, 0);
			for (unsigned unit = 0; unit < MANY_UNITS; unit++) {
				uint32_t *copy = quire_per_cpu_ptr(ptr[i], unit);

				assert_int_equal(copy[0], 0);
				assert_int_equal(copy[i * 999], 0);
				copy[0] = copy[i * 999] = ~0u;
			}
		}
		for (unsigned i = 0; i < 3; i++)
			quire_free_percpu(q, ptr[i]);
	}
	assert_int_equal(quire_verify(q), 0);
}

static void reuse_clears_all_units_where_all_write(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .units = MANY_UNITS });

	(void)state;
	check_reuse_clears_all_units(q);
	quire_destroy(q);
}

/* As where reading takes no memory: what a stack hands out reads zero on all of many CPUs. */
static void what_stacks_hand_out_reads_zero_on_many_units(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .units = MANY_UNITS });
	static const char zeroes[200];

	(void)state;
	quire_free_percpu(q, quire_alloc_percpu(q, 8, 0, 0));
	for (unsigned ask = 0; ask < 2; ask++) {
		q->percpu->asks_for_popped = ask != 0;
		for (unsigned round = 0; round < 200; round++) {
			char *ptr = quire_alloc_percpu(q, 200, 0, 0);

			for (unsigned unit = ask; unit < MANY_UNITS; unit += 33) {
				char *copy = quire_per_cpu_ptr(ptr, unit);

				assert_memory_equal(copy, zeroes, 200);
				memset(copy, 0x5a, 200);
			}
			quire_free_percpu(q, ptr);
		}
	}
	assert_true(percpu_stat(q).cached_objects != 0 || q->percpu->stacks.cpu.slots_nr == 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* A page of the instance is several of the system's: all of them count. */
static void reuse_clears_what_was_written_anywhere_in_large_pages(void **state)
{
	struct quire *q =
		percpu_make((struct quire_options){ .units = MANY_UNITS, .page_shift = 16 });
	char *ptr[100];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 100; i++) {
			ptr[i] = quire_alloc_percpu(q, 8192, 0, 0);
			for (unsigned unit = 5; unit < MANY_UNITS; unit += 90) {
				char *copy = quire_per_cpu_ptr(ptr[i], unit);

				assert_int_equal(copy[0], 0);
				assert_int_equal(copy[8191], 0);
				copy[0] = copy[8191] = 1;
			}
		}
		for (unsigned i = 1; i < 100; i++)
			quire_free_percpu(q, ptr[i]);
		check_reuse_clears_all_units(q);
		quire_free_percpu(q, ptr[0]);
	}
	quire_destroy(q);
}

/* Many at once: objects of any size are distinct and zero, and the bulk free takes them all. */
static void bulk_is_as_one_by_one(void **state)
{
	struct quire *q = *state;
	uint64_t objects = percpu_stat(q).objects;
	void *ptr[300];

	for (size_t bytes = 4; bytes <= 4096; bytes *= 4) {
		struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = bytes);

		for (unsigned round = 0; round < 2; round++) {
			assert_int_equal(quire_alloc_percpu_bulk(q, &request, ptr, 300), 300);
			for (unsigned i = 0; i < 300; i++)
				for (unsigned unit = 0; unit < UNITS; unit++) {
					uint32_t *copy = quire_per_cpu_ptr(ptr[i], unit);

					assert_int_equal(copy[0] | copy[bytes / 4 - 1], 0);
					copy[0] = copy[bytes / 4 - 1] = i + 1;
				}
			quire_free_percpu_bulk(q, ptr, 300);
		}
	}
	assert_int_equal(percpu_stat(q).objects, objects);
}

static bool same_page(struct quire *q, const void *a, const void *b)
{
	return (uintptr_t)a / page_bytes(q) == (uintptr_t)b / page_bytes(q);
}

static bool follows_apart(struct quire *q)
{
	void *large = quire_alloc_percpu(q, 64, 0, 0);

	return !same_page(q, large, quire_alloc_percpu(q, 8, 0, 0));
}

/* Alignment leaves @gap bytes between two large objects: whether a small one goes there. */
static bool goes_into_gap(struct quire *q, size_t gap)
{
	char *first = quire_alloc_percpu(q, 128 - gap, 128, 0);
	char *second = quire_alloc_percpu(q, 128 - gap, 128, 0);
	char *small = quire_alloc_percpu(q, 8, 0, 0);

	assert_ptr_equal(second, first + 128);
	return small > first && small < second;
}

static bool follows_gaps(struct quire *q)
{
	return goes_into_gap(q, 56);
}

static bool follows_slivers(struct quire *q)
{
	return !goes_into_gap(q, 8);
}

#define HALF_KB_NR 64u /* eight pages of 4 KiB, full */

/* Frees @nr objects in the oldest pages, one of each eight stays: whether their room is used next. */
static bool uses_old_holes(struct quire *q, unsigned nr)
{
	void *objects[HALF_KB_NR], *next;
	bool is_old = false;

	for (unsigned i = 0; i < HALF_KB_NR; i++)
		objects[i] = quire_alloc_percpu(q, 512, 0, 0);
	for (unsigned i = 0; i < nr; i++)
		if (i % 8 != 7)
			quire_free_percpu(q, objects[i]);
	next = quire_alloc_percpu(q, 512, 0, 0);
	for (unsigned i = 0; i < nr; i++)
		is_old |= next == objects[i];
	return is_old;
}

static bool follows_time(struct quire *q)
{
	return !uses_old_holes(q, 1);
}

static bool follows_holes(struct quire *q)
{
	return uses_old_holes(q, 16);
}

static bool follows_across(struct quire *q)
{
	char *first = quire_alloc_percpu(q, 3000, 0, 0);

	return (char *)quire_alloc_percpu(q, 3000, 0, 0) == first + 3000;
}

/* Each rule of packed.c, and the option that leaves it out. */
static void a_rule_is_followed_unless_left_out(void **state)
{
	static bool (*const follows[])(struct quire *) = {
		[QUIRE_RULE_APART] = follows_apart,	[QUIRE_RULE_GAPS] = follows_gaps,
		[QUIRE_RULE_SLIVERS] = follows_slivers, [QUIRE_RULE_TIME] = follows_time,
		[QUIRE_RULE_HOLES] = follows_holes,	[QUIRE_RULE_ACROSS] = follows_across,
	};

	(void)state;
	for (unsigned rule = QUIRE_RULE_APART; rule <= QUIRE_RULE_ACROSS; rule++) {
		for (unsigned left_out = 0; left_out <= 1; left_out++) {
			struct quire *q = percpu_make((struct quire_options){
				.cache = QUIRE_OFF,
				.placement_without = left_out ? (enum quire_placement_rule)rule
							      : QUIRE_RULE_NONE,
			});

			if (follows[rule](q) != (left_out == 0))
				fail_msg("rule %u, left out: %u", rule, left_out);
			assert_int_equal(quire_verify(q), 0);
			quire_destroy(q);
		}
	}
}

/* 1,000 objects of 8 bytes in a burst after idle, without waiting: none is refused. */
static void atomic_burst_is_served(void **state)
{
	struct quire *q = *state;

	balance_now(q, false);
	for (unsigned i = 0; i < 1000; i++)
		assert_non_null(quire_alloc_percpu(q, 8, 8, QUIRE_ATOMIC));
	assert_int_equal(percpu_stat(q).atomic_refusals, 0);
}

/* At the limit what is populated is all there is; the worker then keeps more. */
static void atomic_uses_the_reserve_at_the_limit(void **state)
{
	struct quire *q = *state;
	uint64_t others = use_up_limit(q, QUIRE_ATOMIC);
	unsigned n = 0;

	while (quire_alloc_percpu(q, page_bytes(q), 0, QUIRE_ATOMIC) != NULL)
		n++;
	page_uncharge(q, others);
	assert_in_range(n, EMPTY_LOW, 7);
	assert_true(q->percpu->atomic_failed);
	balance_now(q, false);
	assert_int_equal(q->percpu->empty_pages, 2 * EMPTY_HIGH);
}

static void limit_refuses_and_leaves_all_as_it_was(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .limit_bytes = UINT64_C(8) << 20 });
	struct quire_percpu_stat before = QUIRE_PERCPU_STAT_INIT, after = before;
	void *last = NULL, *next;

	while ((next = quire_alloc_percpu(q, 8000, 0, 0)) != NULL)
		last = next;
	assert_int_equal(errno, ENOMEM);
	before = percpu_stat(q);
	assert_null(quire_alloc_percpu(q, 8000, 0, 0));
	after = percpu_stat(q);
	assert_int_equal(before.populated_pages, after.populated_pages);
	assert_int_equal(before.objects, after.objects);
	quire_free_percpu(q, last);
	assert_non_null(quire_alloc_percpu(q, 8000, 0, 0));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
	(void)state;
}

static void bulk_is_many(void **state)
{
	struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = 24);
	void *ptrs[300];

	assert_int_equal(quire_alloc_percpu_bulk(*state, &request, ptrs, 300), 300);
	assert_int_equal(percpu_stat(*state).objects, 300);
	quire_free_percpu_bulk(*state, ptrs, 3);
	quire_free_percpu_bulk(*state, ptrs, 300);
	assert_int_equal(percpu_stat(*state).objects, 0);
	for (unsigned i = 0; i < 300; i++)
		assert_null(ptrs[i]);
	quire_free_percpu_bulk(*state, ptrs, 300);
}

static void cached_offsets_go_when_asked(void **state)
{
	struct quire *q = *state;
	void *ptrs[8];

	if (q->percpu->stacks.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 8; i++) {
			ptrs[i] = quire_alloc_percpu(q, 48, 0, 0);
			quire_free_percpu(q, ptrs[i]);
		}
	}
	assert_true(percpu_stat(q).cached_objects != 0 || q->percpu->stacks.cpu.slots_nr == 0);
	assert_int_equal(percpu_stat(q).objects, 0);
	quire_percpu_shrink(q);
	assert_int_equal(percpu_stat(q).cached_objects, 0);
	assert_int_equal(percpu_stat(q).populated_pages, 13);
}

static void a_short_bulk_keeps_what_it_has(void **state)
{
	static struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = 4096);
	struct quire *q = percpu_make((struct quire_options){ .limit_bytes = 4 << 20 });
	static void *ptrs[2000];
	static char mine;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 2000; i++)
		ptrs[i] = &mine;
	errno = 0;
	n = quire_alloc_percpu_bulk(q, &request, ptrs, 2000);
	assert_in_range(n, 1, 1999);
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(percpu_stat(q).objects, n);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(ptrs[i] == NULL, i >= n);
	ptrs[n + 9] = ptrs[n + 10] = &mine;
	assert_int_equal(quire_alloc_percpu_bulk(q, &request, ptrs + n, 10), 0);
	assert_null(ptrs[n + 9]);
	assert_ptr_equal(ptrs[n + 10], &mine);
	ptrs[n] = &mine;
	request.align = 3;
	assert_int_equal(quire_alloc_percpu_bulk(q, &request, ptrs + n, 10), 0);
	assert_int_equal(errno, EINVAL);
	assert_null(ptrs[n]);
	ptrs[n] = &mine;
	request.struct_bytes = 0;
	assert_int_equal(quire_alloc_percpu_bulk(q, &request, ptrs + n, 11), 0);
	assert_null(ptrs[n]);
	request.struct_bytes = sizeof(request);
	quire_free_percpu_bulk(q, ptrs, 2000);
	assert_int_equal(percpu_stat(q).objects, 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* Frees it to the maps, has this size ask for lines, and allocates again. */
static char *again_with_a_wish(struct quire *q, void *object)
{
	struct percpu *pc = q->percpu;

	quire_free_percpu(q, object);
	mutex_acquire(&pc->alloc_mutex);
	cache_drain(pc, false);
	mutex_release(&pc->alloc_mutex);
	store_relaxed(&pc->learn[0].opened, 1);
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		store_relaxed(&pc->cpu[slot].lines[0], 4);
	return quire_alloc_percpu(q, 8, 0, QUIRE_ATOMIC);
}

/* Where a line of its own is not to be had, any room will do, and a wish that is not granted is no
 * refusal. */
static void a_line_is_a_wish(void **state)
{
	struct quire *q = *state;
	struct percpu *pc = q->percpu;
	char *object, *odd = NULL, *again;
	uint64_t refusals, others;

	others = use_up_limit(q, QUIRE_ATOMIC);
	while ((object = quire_alloc_percpu(q, 8, 0, QUIRE_ATOMIC)) != NULL)
		if ((uintptr_t)object % 64 != 0)
			odd = object;
	refusals = load_relaxed(&pc->refusals);
	again = again_with_a_wish(q, odd);
	page_uncharge(q, others);
	assert_non_null(odd);
	assert_ptr_equal(again, odd);
	assert_u64_eq(load_relaxed(&pc->refusals), refusals);
}

/* Lines of their own are for what goes through stacks: a burst of a warm size is as dense as any. */
static void a_burst_of_a_warm_size_is_dense(void **state)
{
	struct quire *q = *state;
	uint64_t pages;

	for (unsigned i = 0; i < 100; i++)
		quire_free_percpu(q, quire_alloc_percpu(q, 8, 0, 0));
	pages = percpu_stat(q).populated_pages;
	for (unsigned i = 0; i < 16 * page_bytes(q) / 8; i++)
		assert_non_null(quire_alloc_percpu(q, 8, 0, 0));
	assert_in_range(percpu_stat(q).populated_pages, pages,
			pages + 16 + LINES_MAX * 64 / page_bytes(q));
}

/* Without a reserve of pages to keep, all that is left is the first chunk. */
static void decay_gives_back_what_is_idle(void **state)
{
	struct quire *q = *state;
	void *pages[10];

	fill_second_chunk(q, pages, 10);
	for (unsigned i = 0; i < 9; i++)
		quire_free_percpu(q, pages[i]);
	balance_tick(&q->percpu->module, UINT64_C(10000000000));
	balance_tick(&q->percpu->module, UINT64_C(20000000000));
	assert_int_equal(q->percpu->chunk[1].state, CHUNK_SIDELINED);
	assert_int_equal(bits_count(q->percpu->chunk[1].populated), 1);
}

static void variable_is_there_before_main(void **state)
{
	struct quire *q = quire_default();

	for (unsigned unit = 0; unit < quire_percpu_units(q); unit++)
		assert_int_equal(*quire_per_cpu_ptr(defined_long, unit), 42);
	assert_int_equal(chunk_number(q, defined_long), 0);
	assert_int_equal(quire_verify(q), 0);
	(void)state;
}

static void defines(void *variable)
{
	quire_percpu_define(variable);
}

static void a_variable_that_cannot_be_says_why(void **state)
{
	static const long content;
	void *pointer = NULL;
	struct quire_percpu_variable asked =
		QUIRE_PERCPU_VARIABLE_INIT(.pointer = &pointer, .content = &content,
					   .bytes = sizeof(content), .align = sizeof(content));
	struct quire_percpu_variable wrong = asked;

	wrong.bytes = QUIRE_PERCPU_BYTES_MAX + 1;
	expect_exit(defines, &wrong, 2, "quire: a per-CPU variable of a size or alignment ");
	wrong = asked;
	wrong.align = 3;
	expect_exit(defines, &wrong, 2, "quire: a per-CPU variable of a size or alignment ");
	wrong = asked;
	wrong.flags = 1;
	expect_exit(defines, &wrong, 2, "quire: a per-CPU variable that this version ");
	wrong = asked;
	wrong.struct_bytes = 0;
	expect_exit(defines, &wrong, 2, "quire: a per-CPU variable that this version ");
	expect_life(defines, &asked);
	(void)state;
}

static void text_has_linux_shape(void **state)
{
	static char text[1 << 16];

	assert_non_null(quire_alloc_percpu(*state, 100, 0, 0));
	assert_in_range(quire_text_percpu_stats(*state, text, sizeof(text)), 100, sizeof(text));
	assert_non_null(strstr(text, "Percpu Memory Statistics\nAllocation Info:\n"));
	assert_non_null(strstr(text, "nr_alloc"));
	assert_non_null(strstr(text, "Chunk: <- First Chunk\n"));
}

static void the_map_shows_a_chunks_pages(void **state)
{
	static char text[4096];
	char *object = quire_alloc_percpu(*state, page_bytes(*state), 0, 0), cells[65] = "";
	unsigned long chunk = 0;
	size_t page;

	assert_in_range(percpu_text_map(*state, text, sizeof(text)), 60, sizeof(text) - 1);
	assert_int_equal(sscanf(strchr(text, '\n'), " %lx %64s", &chunk, cells), 2);
	page = ((uintptr_t)object - chunk) / page_bytes(*state);
	assert_in_range(page, 0, strlen(cells) - 1);
	assert_int_equal(cells[page], '#');
	quire_free_percpu(*state, object);
	quire_drain_all(*state);
	percpu_text_map(*state, text, sizeof(text));
	assert_int_equal(sscanf(strchr(text, '\n'), " %lx %64s", &chunk, cells), 2);
	assert_int_equal(cells[page], '_');
}

static void many_units_cost_what_is_written(void **state)
{
	struct quire *q = percpu_make(
		(struct quire_options){ .units = 1024, .limit_bytes = UINT64_C(4) << 30 });
	uint64_t before = resident_bytes();

	for (unsigned i = 0; i < 10000; i++)
		assert_non_null(quire_alloc_percpu(q, 8, 0, 0));
	assert_true(resident_bytes() - before < 400u << 10);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
	(void)state;
}

/* How many objects of 256 bytes the reserved area holds; all are freed. */
static unsigned fill_reserved(struct quire *q)
{
	char *objects[64];
	unsigned n = 0;

	while (n < 64 && (objects[n] = quire_alloc_reserved_percpu(q, 256, 64)) != NULL) {
		for (unsigned cpu = 0; cpu < quire_percpu_units(q); cpu++) {
			char *copy = quire_per_cpu_ptr(objects[n], cpu);

			for (unsigned i = 0; i < 256; i++)
				assert_int_equal(copy[i], 0);
			memset(copy, 0x5a, 256);
		}
		assert_int_equal((uintptr_t)objects[n++] % 64, 0);
	}
	assert_int_equal(errno, ENOSPC);
	for (unsigned i = 0; i < n; i++)
		quire_free_percpu(q, objects[i]);
	return n;
}

static void the_reserved_area_is_served_again_and_apart(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .limit_bytes = 0 });
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;
	char *small, *ordinary;

	(void)state;
	assert_null(quire_alloc_reserved_percpu(q, 0, 0));
	assert_int_equal(errno, EINVAL);
	assert_null(quire_alloc_reserved_percpu(q, 8, 3));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(fill_reserved(q), 32);
	assert_int_equal(fill_reserved(q), 32);
	assert_int_equal(quire_percpu_stat_read(q, &stat), 0);
	assert_u64_eq(stat.allocs, 64);
	assert_u64_eq(stat.frees, 64);
	ordinary = quire_alloc_percpu(q, 256, 64, 0); /* of a size that was freed just now */
	assert_int_equal(fill_reserved(q), 32);
	small = quire_alloc_reserved_percpu(q, 4, 4);
	assert_int_equal(*small, 0);
	assert_int_equal(quire_percpu_bytes(q, small), 8);
	quire_free_percpu(q, small);
	quire_free_percpu(q, ordinary);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PERCPU_TEST(sizes_and_alignments_are_kept),
		PERCPU_TEST(four_bytes_cost_four),
		PERCPU_TEST(wrong_requests_are_refused),
		PERCPU_TEST(every_object_begins_as_zeroes),
		PERCPU_TEST(bulk_is_as_one_by_one),
		cmocka_unit_test(reuse_puts_no_memory_where_nobody_wrote),
		cmocka_unit_test(reuse_clears_all_units_where_all_write),
		cmocka_unit_test(what_stacks_hand_out_reads_zero_on_many_units),
		cmocka_unit_test(reuse_clears_what_was_written_anywhere_in_large_pages),
		cmocka_unit_test(a_rule_is_followed_unless_left_out),
		PERCPU_TEST(atomic_burst_is_served),
		PERCPU_TEST(atomic_uses_the_reserve_at_the_limit),
		PERCPU_TEST(limit_refuses_and_leaves_all_as_it_was),
		PERCPU_TEST(bulk_is_many),
		cmocka_unit_test(the_reserved_area_is_served_again_and_apart),
		cmocka_unit_test(a_short_bulk_keeps_what_it_has),
		PERCPU_TEST(cached_offsets_go_when_asked),
		PERCPU_TEST(a_line_is_a_wish),
		PERCPU_TEST(a_burst_of_a_warm_size_is_dense),
		PERCPU_TEST(decay_gives_back_what_is_idle),
		PERCPU_TEST(variable_is_there_before_main),
		PERCPU_TEST(a_variable_that_cannot_be_says_why),
		PERCPU_TEST(text_has_linux_shape),
		PERCPU_TEST(the_map_shows_a_chunks_pages),
		PERCPU_TEST(many_units_cost_what_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
