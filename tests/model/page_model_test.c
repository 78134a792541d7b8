/* SPDX-License-Identifier: MIT */
/*
 * Random operations on the page allocator against a model that cannot be wrong: one byte a frame
 * that says whether it is in use.
 *
 * Whatever is handed out must be aligned, inside the instance, in the wanted zone, in no isolated
 * block, free in the model, and keep its content until it is freed.  An allocation that may wait
 * may be refused only if the model, too, finds no aligned free run above the reserve.  The
 * invariants and the conservation of pages are checked every VERIFY_EVERY operations.
 *
 *     QUIRE_MODEL_SEED=n     the seed; otherwise from the clock
 *     QUIRE_MODEL_OPS=n      operations of the first run; the others do a tenth of it
 *     QUIRE_MODEL_ONLY=n     run that configuration only, by its place in the table
 *     QUIRE_MODEL_VERIFY=n   check every n operations (1 finds the operation that broke a rule)
 */
#include <errno.h>
#include <time.h>

#include "base/errno.h"
#include "page/alloc.h"
#include "page/block.h"
#include "page/free.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/zone.h"
#include "quire_test.h"

#define OPS_DEFAULT	 10000000u
#define VERIFY_EVERY	 4096u
/* Operations between changes of the wanted fill. */
#define PHASE_OPS	 20000u
#define BULK_MAX	 200u
#define ISOLATED_MAX	 3u
#define STAMPED_PAGES	 8u
#define FLAGS_MAY_REFUSE (QUIRE_NOWAIT | QUIRE_ATOMIC | QUIRE_NOLOCK | QUIRE_NORETRY)

struct config {
	unsigned page_shift, zones, blocks;
	enum quire_switch rseq;
};

/* What was handed out in one piece: 2^order pages, or @pages single ones of an exact size. */
struct run {
	uint32_t frame, pages;
	unsigned order;
	bool exact;
	uint64_t stamp;
};

struct model {
	const struct config *config;
	struct quire *q;
	uint64_t seed, random, op, ops;
	uint8_t *used; /* by frame */
	struct run *runs;
	uint32_t frames_nr, runs_nr, used_nr;
	bool isolated[1024]; /* by block */
	unsigned isolated_nr, disabled_nr;
	unsigned fill_percent;
	uint64_t refusals;
};

/* ---- chance --------------------------------------------------------------------------------- */

static uint64_t next_random(struct model *m)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return m->random * UINT64_C(0x2545f4914f6cdd1d);
}

static uint32_t below(struct model *m, uint32_t n)
{
	return (uint32_t)((next_random(m) >> 32) * n >> 32);
}

static bool chance(struct model *m, uint32_t one_in)
{
	return below(m, one_in) == 0;
}

/* Names the operation, so that the run can be repeated up to it. */
#define MODEL_CHECK(m, condition)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("operation %llu, seed %llu: %s", (unsigned long long)(m)->op,     \
				 (unsigned long long)(m)->seed, #condition);                       \
	} while (0)

/* ---- content -------------------------------------------------------------------------------- */

static uint64_t *page_words(struct model *m, uint32_t frame)
{
	return page_addr(pages_of(m->q), frame);
}

/* Pages of a run whose first and last words carry its stamp: all of a short one, else its ends. */
static bool page_is_stamped(const struct run *run, uint32_t page)
{
	return page < STAMPED_PAGES || page == run->pages - 1;
}

static uint64_t stamp_of(const struct run *run, uint32_t page)
{
	return (run->stamp + page) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static void write_stamps(struct model *m, const struct run *run)
{
	size_t last = quire_page_bytes(m->q) / sizeof(uint64_t) - 1;

	for (uint32_t page = 0; page < run->pages; page++) {
		uint64_t *words = page_words(m, run->frame + page);

		if (!page_is_stamped(run, page)) {
			page = run->pages - 2;
			continue;
		}
		words[0] = stamp_of(run, page);
		words[last] = ~stamp_of(run, page);
	}
}

static void check_stamps(struct model *m, const struct run *run)
{
	size_t last = quire_page_bytes(m->q) / sizeof(uint64_t) - 1;

	for (uint32_t page = 0; page < run->pages; page++) {
		const uint64_t *words = page_words(m, run->frame + page);

		if (!page_is_stamped(run, page)) {
			page = run->pages - 2;
			continue;
		}
		MODEL_CHECK(m, words[0] == stamp_of(run, page));
		MODEL_CHECK(m, words[last] == ~stamp_of(run, page));
	}
}

static void check_zero(struct model *m, const struct run *run)
{
	size_t words_nr = quire_page_bytes(m->q) / sizeof(uint64_t);

	for (uint32_t page = 0; page < run->pages; page++) {
		const uint64_t *words = page_words(m, run->frame + page);
		uint64_t any = words[0] | words[words_nr - 1];

		for (size_t i = 0; i < words_nr && page < STAMPED_PAGES; i++)
			any |= words[i];
		MODEL_CHECK(m, any == 0);
	}
}

/* ---- the model ------------------------------------------------------------------------------ */

static uint32_t block_of(const struct model *m, uint32_t frame)
{
	return frame >> pages_of(m->q)->pageblock_order;
}

static unsigned zone_of(const struct model *m, uint32_t frame)
{
	return block_of(m, frame) / pages_of(m->q)->zone_blocks;
}

static void set_used(struct model *m, uint32_t frame, uint32_t pages, uint8_t used)
{
	for (uint32_t f = frame; f < frame + pages; f++) {
		MODEL_CHECK(m, m->used[f] != used);
		m->used[f] = used;
	}
	m->used_nr += used ? pages : 0 - pages;
}

static void run_add(struct model *m, struct run run)
{
	run.stamp = next_random(m);
	write_stamps(m, &run);
	m->runs[m->runs_nr++] = run;
}

static struct run run_take(struct model *m, uint32_t idx)
{
	struct run run = m->runs[idx];

	m->runs[idx] = m->runs[--m->runs_nr];
	check_stamps(m, &run);
	return run;
}

/* Notes what the allocator handed out, after checking that it may. */
static void admit(struct model *m, void *addr, unsigned order, uint32_t pages, unsigned flags)
{
	struct run run = { .frame = page_frame(pages_of(m->q), addr),
			   .pages = pages,
			   .order = order };
	unsigned node = flags >> 24;

	MODEL_CHECK(m, ((uintptr_t)addr & (((uintptr_t)1 << m->config->page_shift << order) - 1)) ==
			       0);
	MODEL_CHECK(m, (char *)addr >= pages_of(m->q)->base);
	MODEL_CHECK(m, run.frame + pages <= m->frames_nr);
	MODEL_CHECK(m, node == 0 || zone_of(m, run.frame) == node - 1);
	for (uint32_t f = run.frame; f < run.frame + pages;
	     f += 1u << pages_of(m->q)->pageblock_order)
		MODEL_CHECK(m, !m->isolated[block_of(m, f)]);
	run.exact = pages != 1u << order;
	set_used(m, run.frame, pages, 1);
	if (flags & QUIRE_ZERO)
		check_zero(m, &run);
	run_add(m, run);
}

/* The same of pages that the caller has named, which are single ones. */
static void admit_contig(struct model *m, uint32_t frame, uint32_t pages, unsigned flags)
{
	struct run run = { .frame = frame, .pages = pages, .exact = true };

	set_used(m, frame, pages, 1);
	if (flags & QUIRE_ZERO)
		check_zero(m, &run);
	run_add(m, run);
}

static bool range_is_free(const struct model *m, uint32_t frame, uint32_t pages)
{
	for (uint32_t f = frame; f < frame + pages; f++)
		if (m->used[f] || m->isolated[block_of(m, f)])
			return false;
	return true;
}

static bool zone_could_serve(const struct model *m, const struct zone *zone, unsigned order)
{
	uint32_t first = block_frame(pages_of(m->q), zone->block_first);
	uint32_t end = first + (uint32_t)zone->managed_pages;
	uint64_t available = 0;
	bool found = false;

	for (uint32_t f = first; f < end; f++)
		available += !m->used[f] && !m->isolated[block_of(m, f)];
	first = (first + (1u << order) - 1) & ~((1u << order) - 1);
	for (uint32_t f = first; f + (1u << order) <= end && !found; f += 1u << order)
		found = range_is_free(m, f, 1u << order);
	return found && available >= ((uint64_t)1 << order) + zone->mark_min;
}

/* A caller that may wait was refused: the model must not find a run for it. */
static void check_refusal(struct model *m, unsigned order, unsigned flags)
{
	unsigned node = flags >> 24;

	m->refusals++;
	/* A refusal drains every CPU with two fences: enough of them is enough. */
	if (chance(m, 64))
		m->fill_percent = 80;
	MODEL_CHECK(m, errno == ENOMEM);
	for (unsigned i = 0; i < pages_of(m->q)->zones_nr && !(flags & FLAGS_MAY_REFUSE); i++)
		MODEL_CHECK(m, (node != 0 && node - 1 != i) ||
				       !zone_could_serve(m, &pages_of(m->q)->zone[i], order));
}

/* ---- operations ----------------------------------------------------------------------------- */

static unsigned random_order(struct model *m)
{
	uint32_t dice = below(m, 100);

	if (dice < 60)
		return 0;
	if (dice < 90)
		return 1 + below(m, 4);
	return below(m, 5) != 0 ? 5 + below(m, 5) : QUIRE_ORDER_MAX;
}

static unsigned random_flags(struct model *m, unsigned order)
{
	static const unsigned others[] = { QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK,
					   QUIRE_NORETRY };
	unsigned flags = below(m, 3); /* a type */

	if (chance(m, order <= 4 ? 8 : 200))
		flags |= QUIRE_ZERO;
	if (chance(m, 8))
		flags |= others[below(m, 4)];
	if (chance(m, 16))
		flags |= QUIRE_NODE(below(m, m->config->zones));
	return flags;
}

static bool wants_less(struct model *m)
{
	return (uint64_t)m->used_nr * 100 > (uint64_t)m->frames_nr * m->fill_percent;
}

static void op_free(struct model *m)
{
	struct run run;

	if (m->runs_nr == 0)
		return;
	run = run_take(m, below(m, m->runs_nr));
	set_used(m, run.frame, run.pages, 0);
	if (run.exact && chance(m, 4))
		quire_free_contig_range(m->q, page_addr(pages_of(m->q), run.frame),
					(size_t)run.pages << m->config->page_shift);
	else if (run.exact)
		quire_free_pages_exact(m->q, page_addr(pages_of(m->q), run.frame),
				       (size_t)run.pages << m->config->page_shift);
	else if (chance(m, 8))
		page_free_on(pages_of(m->q), below(m, pages_of(m->q)->stacks.cpu.all_slots_nr),
			     page_addr(pages_of(m->q), run.frame), run.order);
	else
		quire_free_pages(m->q, page_addr(pages_of(m->q), run.frame), run.order);
}

static void op_alloc(struct model *m)
{
	unsigned order = random_order(m), flags = random_flags(m, order);
	void *addr;

	if (wants_less(m)) {
		op_free(m);
		return;
	}
	if (chance(m, 8)) {
		flags &= ~FLAGS_MAY_REFUSE;
		errno = ENOMEM; /* which it leaves to its callers */
		addr = page_alloc_on(pages_of(m->q),
				     below(m, pages_of(m->q)->stacks.cpu.all_slots_nr), order,
				     flags);
	} else {
		addr = quire_alloc_pages(m->q, order, flags);
	}
	if (addr != NULL)
		admit(m, addr, order, 1u << order, flags);
	else if (!(flags & FLAGS_MAY_REFUSE))
		check_refusal(m, order, flags);
}

/* Frees; but below the wanted fill only every other time. */
static void op_free_or_fill(struct model *m)
{
	if (wants_less(m) || chance(m, 2))
		op_free(m);
	else
		op_alloc(m);
}

static void op_exact(struct model *m)
{
	unsigned flags = random_flags(m, 5);
	uint32_t pages = 1 + below(m, chance(m, 32) ? 1u << QUIRE_ORDER_MAX : 20);
	unsigned order = 0;
	void *addr;

	while (1u << order < pages)
		order++;
	if (wants_less(m))
		return;
	addr = quire_alloc_pages_exact(
		m->q, ((size_t)pages << m->config->page_shift) - below(m, 99), flags);
	if (addr == NULL)
		check_refusal(m, order, flags);
	else if (pages != 1u << order)
		admit(m, addr, order, pages, flags);
	else
		for (uint32_t i = 0; i < pages; i++)
			admit(m, (char *)addr + ((size_t)i << m->config->page_shift), 0, 1, flags);
}

static void op_split(struct model *m)
{
	uint32_t idx = m->runs_nr == 0 ? 0 : below(m, m->runs_nr);
	struct run run;

	if (m->runs_nr == 0 || m->runs[idx].exact || m->runs[idx].order == 0)
		return;
	run = run_take(m, idx);
	quire_split_pages(m->q, page_addr(pages_of(m->q), run.frame), run.order);
	for (uint32_t i = 0; i < run.pages; i++)
		run_add(m, (struct run){ .frame = run.frame + i, .pages = 1 });
}

static void op_bulk_alloc(struct model *m)
{
	void *pages[BULK_MAX] = { NULL };
	static char taken; /* what a slot that is not NULL holds */
	uint32_t count = 1 + below(m, BULK_MAX), filled = 0;
	unsigned flags = random_flags(m, 0);
	size_t present;

	if (wants_less(m))
		return;
	for (uint32_t i = 0; i < count; i++)
		if (chance(m, 4))
			pages[i] = &taken;
	present = quire_alloc_pages_bulk(m->q, pages, count, flags);
	for (uint32_t i = 0; i < count; i++) {
		filled += pages[i] != NULL;
		if (pages[i] != NULL && pages[i] != &taken)
			admit(m, pages[i], 0, 1, flags);
	}
	if (present == count)
		MODEL_CHECK(m, filled == count);
	else
		check_refusal(m, 0, flags);
}

static void op_bulk_free(struct model *m)
{
	void *pages[BULK_MAX];
	uint32_t count = 1 + below(m, BULK_MAX);

	for (uint32_t i = 0; i < count; i++) {
		uint32_t idx = m->runs_nr == 0 ? 0 : below(m, m->runs_nr);
		struct run run;

		pages[i] = NULL;
		if (m->runs_nr == 0 || m->runs[idx].pages != 1)
			continue;
		run = run_take(m, idx);
		set_used(m, run.frame, 1, 0);
		pages[i] = page_addr(pages_of(m->q), run.frame);
	}
	if (chance(m, 4))
		page_free_bulk_on(pages_of(m->q), below(m, pages_of(m->q)->stacks.cpu.all_slots_nr),
				  count, pages);
	else
		quire_free_pages_bulk(m->q, pages, count);
	for (uint32_t i = 0; i < count; i++)
		MODEL_CHECK(m, pages[i] == NULL);
}

static void op_drain(struct model *m)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	if (!chance(m, 4)) {
		quire_drain_slot(m->q, below(m, pages_of(m->q)->stacks.cpu.all_slots_nr));
		return;
	}
	quire_drain_all(m->q);
	quire_page_stat_read(m->q, &stat);
	MODEL_CHECK(m, stat.cached_pages == 0);
}

static bool is_online(const struct model *m, uint32_t block)
{
	const struct zone *zone = &pages_of(m->q)->zone[block / pages_of(m->q)->zone_blocks];

	return block < zone->block_first + zone->blocks_touched &&
	       pages_of(m->q)->block[block].online;
}

static void op_isolate(struct model *m)
{
	uint32_t block = below(m, pages_of(m->q)->blocks_nr);
	bool may = is_online(m, block) && !m->isolated[block];
	void *addr = page_addr(pages_of(m->q), block_frame(pages_of(m->q), block) +
						       below(m, block_pages(pages_of(m->q))));

	if (m->isolated_nr == ISOLATED_MAX && may)
		return;
	MODEL_CHECK(m, quire_isolate_pageblock(m->q, addr) == (may ? 0 : -EBUSY));
	if (may) {
		m->isolated[block] = true;
		m->isolated_nr++;
	}
}

static void op_unisolate(struct model *m)
{
	uint32_t block = below(m, pages_of(m->q)->blocks_nr);
	void *addr = page_addr(pages_of(m->q), block_frame(pages_of(m->q), block));

	/* Mostly one that is isolated. */
	for (uint32_t i = 0; i < pages_of(m->q)->blocks_nr && !m->isolated[block] && !chance(m, 64);
	     i++) {
		block = (block + 1) % pages_of(m->q)->blocks_nr;
		addr = page_addr(pages_of(m->q), block_frame(pages_of(m->q), block));
	}
	MODEL_CHECK(m, quire_unisolate_pageblock(m->q, addr) == (m->isolated[block] ? 0 : -EINVAL));
	m->isolated_nr -= m->isolated[block];
	m->isolated[block] = false;
}

static void op_offline(struct model *m)
{
	uint32_t block = below(m, pages_of(m->q)->blocks_nr);
	uint32_t frame = block_frame(pages_of(m->q), block);
	bool may = is_online(m, block) && range_is_free(m, frame, block_pages(pages_of(m->q)));

	MODEL_CHECK(m, quire_offline_pageblock(m->q, page_addr(pages_of(m->q), frame)) ==
			       (may ? 0 : -EBUSY));
	MODEL_CHECK(m, !may || !is_online(m, block));
}

/* Taken if all of it is free and online, and its zone has room for it above the mark. */
static void op_contig(struct model *m)
{
	uint32_t pages = 1 + below(m, 3 * block_pages(pages_of(m->q))), frame;
	unsigned flags = chance(m, 4) ? QUIRE_ZERO : 0;
	bool is_whole = true;
	int error;

	if (chance(m, 2)) /* mostly there are few free neighbours */
		pages = 1 + below(m, 8);
	if (pages > m->frames_nr || wants_less(m))
		return;
	frame = below(m, m->frames_nr - pages + 1);
	for (uint32_t f = frame; f < frame + pages; f++)
		is_whole = is_whole && is_online(m, block_of(m, f));
	error = quire_alloc_contig_range(m->q, page_addr(pages_of(m->q), frame),
					 (size_t)pages << m->config->page_shift, flags);
	if (zone_of(m, frame) != zone_of(m, frame + pages - 1)) {
		MODEL_CHECK(m, error == -EINVAL);
	} else if (!is_whole || !range_is_free(m, frame, pages)) {
		MODEL_CHECK(m, error == -EBUSY);
	} else {
		MODEL_CHECK(m, error == 0 || error == -ENOMEM);
		if (error == 0)
			admit_contig(m, frame, pages, flags);
	}
}

static void op_release(struct model *m)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_release(m->q);
	quire_page_stat_read(m->q, &stat);
	MODEL_CHECK(m, stat.allocated_pages == m->used_nr);
	MODEL_CHECK(m, m->isolated_nr != 0 || stat.reported_pages == stat.free_pages);
}

static void op_poll(struct model *m)
{
	MODEL_CHECK(m, quire_poll(m->q) >= -1);
}

static void op_disable(struct model *m)
{
	if (m->disabled_nr == 2)
		return;
	quire_pcp_disable(m->q);
	m->disabled_nr++;
}

static void op_enable(struct model *m)
{
	if (m->disabled_nr == 0)
		return;
	quire_pcp_enable(m->q);
	m->disabled_nr--;
}

static void op_ask(struct model *m)
{
	uint32_t idx = m->runs_nr == 0 ? 0 : below(m, m->runs_nr);
	uint32_t frame = below(m, m->frames_nr);
	char *addr = page_addr(pages_of(m->q), frame);

	MODEL_CHECK(m, quire_page_address(m->q, addr + below(m, 4096)) == addr);
	MODEL_CHECK(m, m->used[frame] || quire_block_order(m->q, addr) == -EINVAL);
	if (m->runs_nr != 0 && !m->runs[idx].exact)
		MODEL_CHECK(
			m, quire_block_order(m->q, page_addr(pages_of(m->q), m->runs[idx].frame)) ==
				   (int)m->runs[idx].order);
}

/* ---- a run ---------------------------------------------------------------------------------- */

static const struct {
	void (*run)(struct model *m);
	uint32_t weight;
} operations[] = {
	{ op_alloc, 50000 },	{ op_free_or_fill, 44000 }, { op_exact, 1500 }, { op_split, 300 },
	{ op_bulk_alloc, 150 }, { op_bulk_free, 300 },	    { op_ask, 3233 },	{ op_drain, 200 },
	{ op_isolate, 50 },	{ op_unisolate, 50 },	    { op_offline, 50 }, { op_release, 2 },
	{ op_poll, 60 },	{ op_disable, 10 },	    { op_enable, 35 },	{ op_contig, 60 },
};
#define WEIGHTS 100000u /* their sum */

static void run_one(struct model *m)
{
	uint32_t dice = below(m, WEIGHTS);
	size_t i = 0;

	for (; dice >= operations[i].weight; i++)
		dice -= operations[i].weight;
	operations[i].run(m);
}

static void verify(struct model *m)
{
	int label = quire_verify(m->q);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	if (label != 0)
		fail_msg("operation %llu, seed %llu: rule %d is broken: %s",
			 (unsigned long long)m->op, (unsigned long long)m->seed, label,
			 quire_rule_text(label));
	quire_page_stat_read(m->q, &stat);
	MODEL_CHECK(m, stat.allocated_pages == m->used_nr);
	MODEL_CHECK(m, stat.online_pages ==
			       stat.free_pages + stat.cached_pages + stat.allocated_pages);
	MODEL_CHECK(m, stat.online_pages <= m->frames_nr);
}

static void model_init(struct model *m, const struct config *config, uint64_t ops)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)config->blocks << BLOCK_SHIFT,
				   .zones = config->zones, .page_shift = config->page_shift,
				   .rseq = config->rseq, .decay_ms = 1, .worker = QUIRE_WORKER_OFF);

	*m = (struct model){ .config = config, .ops = ops };
	m->seed = env_u64("QUIRE_MODEL_SEED", (uint64_t)time(NULL));
	m->random = m->seed * 2 + 1;
	assert_int_equal(quire_create(&options, &m->q), 0);
	m->frames_nr = config->blocks << pages_of(m->q)->pageblock_order;
	assert_u64_eq(pages_of(m->q)->blocks_nr, config->blocks);
	m->used = calloc(m->frames_nr, 1);
	m->runs = calloc(m->frames_nr, sizeof(*m->runs));
	assert_true(m->used != NULL && m->runs != NULL);
	printf("shift %u, zones %u, %u blocks, sequences %s, seed %llu, %llu operations\n",
	       config->page_shift, config->zones, config->blocks,
	       pages_of(m->q)->stacks.cpu.slots_nr != 0 ? "on" : "off", (unsigned long long)m->seed,
	       (unsigned long long)ops);
}

/* Everything goes back, and the instance is as good as new. */
static void model_fini(struct model *m)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	while (m->disabled_nr != 0)
		op_enable(m);
	while (m->runs_nr != 0)
		op_free(m);
	quire_release(m->q);
	verify(m);
	quire_page_stat_read(m->q, &stat);
	assert_u64_eq(stat.allocated_pages, 0);
	assert_u64_eq(stat.cached_pages, 0);
	printf("  %llu refusals of which the model approves, %llu claims, %llu steals, %llu "
	       "reports\n",
	       (unsigned long long)m->refusals, (unsigned long long)stat.fallback_claims,
	       (unsigned long long)stat.fallback_steals, (unsigned long long)stat.reports);
	quire_destroy(m->q);
	free(m->used);
	free(m->runs);
}

static void run_model(const struct config *config, uint64_t ops)
{
	uint64_t verify_every = env_u64("QUIRE_MODEL_VERIFY", VERIFY_EVERY);
	struct model m;

	model_init(&m, config, ops);
	for (m.op = 0; m.op < ops; m.op++) {
		if (m.op % PHASE_OPS == 0)
			m.fill_percent = chance(&m, 12) ? 200 : below(&m, 80);
		run_one(&m);
		if (m.op % verify_every == 0)
			verify(&m);
	}
	model_fini(&m);
}

static const struct config configs[] = {
	{ .page_shift = 12, .zones = 1, .blocks = 32, .rseq = QUIRE_ON },
	{ .page_shift = 12, .zones = 1, .blocks = 32, .rseq = QUIRE_OFF },
	{ .page_shift = 12, .zones = 2, .blocks = 32, .rseq = QUIRE_ON },
	{ .page_shift = 14, .zones = 1, .blocks = 128, .rseq = QUIRE_ON },
	{ .page_shift = 14, .zones = 2, .blocks = 128, .rseq = QUIRE_OFF },
	{ .page_shift = 16, .zones = 1, .blocks = 256, .rseq = QUIRE_ON },
	{ .page_shift = 16, .zones = 3, .blocks = 300, .rseq = QUIRE_OFF },
	/* The smallest: one pair of blocks. */
	{ .page_shift = 12, .zones = 1, .blocks = 2, .rseq = QUIRE_ON },
};
#define CONFIGS_NR (sizeof(configs) / sizeof(configs[0]))

static void the_allocator_agrees_with_the_model(void **state)
{
	uint64_t ops = env_u64("QUIRE_MODEL_OPS", OPS_DEFAULT);
	uint64_t only = env_u64("QUIRE_MODEL_ONLY", CONFIGS_NR);

	(void)state;
	for (size_t i = 0; i < CONFIGS_NR; i++) {
		if (only == CONFIGS_NR || only == i)
			run_model(&configs[i], i == 0 || only == i ? ops : ops / 10);
	}
	assert_true(only <= CONFIGS_NR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_allocator_agrees_with_the_model),
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests_name("page_model", tests, NULL, NULL);
}
