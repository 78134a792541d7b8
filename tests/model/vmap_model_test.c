/* SPDX-License-Identifier: MIT */
/*
 * Random operations on areas against a model that cannot be wrong: one byte a page of the span that
 * says whether it is free, in use, or freed and not yet purged.
 *
 * Without caches the model knows where each area must lie: at the lowest place that fits, found by a
 * linear scan (V3); what was freed is a hole only after a purge, and one is made exactly when no hole
 * fits.  With caches it knows what must not be: an overlap, a lost content, a refusal although
 * purging everything would have made a hole.
 *
 *     QUIRE_MODEL_SEED=n     the seed; otherwise from the clock
 *     QUIRE_VMAP_MODEL_OPS=n operations of each configuration
 *     QUIRE_MODEL_ONLY=n     run that configuration only, by its place in the table
 *     QUIRE_MODEL_VERIFY=n   check every n operations (1 finds the operation that broke a rule)
 */
#include <errno.h>
#include <time.h>

#include <quire/page.h>

#include "base/errno.h"
#include "instance/instance.h"
#include "machine/linux/sanitizer.h"
#include "quire_test.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

#define OPS_DEFAULT  40000u
#define VERIFY_EVERY 4096u
#define AREAS_MAX    512u
#define PHASE_OPS    3000u

enum page_is {
	IS_FREE,
	IS_BUSY,
	IS_LAZY
};

struct config {
	const char *name;
	bool exact; /* addresses are those of a linear scan */
	struct quire_options options;
};

static const struct config configs[] = {
	{ "cache:off,guard:off", true, { .guard = QUIRE_GUARD_OFF } },
	{ "cache:off", true, { .guard = QUIRE_GUARD_ON } },
	{ "cache:off,page_shift:14", true, { .page_shift = 14 } },
	{ "as it is", false, { .limit_bytes = 0 } },
	{ "guard:off", false, { .guard = QUIRE_GUARD_OFF } },
	{ "rseq:off", false, { .rseq = QUIRE_OFF } },
	{ "large span", false, { .vmap_span_bytes = MIB(128), .limit_bytes = MIB(512) } },
	{ "little memory", false, { .limit_bytes = MIB(16), .vmap_span_bytes = MIB(32) } },
};

struct area {
	char *addr;
	size_t bytes;
	uint32_t start, pages; /* of the span; the guard page included */
	uint32_t stamp;
};

struct model {
	const struct config *config;
	struct quire *q;
	struct vmap *v;
	uint64_t seed, random, op, ops;
	uint8_t *pages; /* enum page_is */
	struct area areas[AREAS_MAX];
	uint32_t areas_nr, busy_pages, wanted_areas;
	uint32_t page_bytes;
	uint64_t refusals, purges, moved, in_place;
};

/* ---- chance ------------------------------------------------------------------------------------- */

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

#define MODEL_CHECK(m, condition)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("operation %llu, seed %llu: %s", (unsigned long long)(m)->op,     \
				 (unsigned long long)(m)->seed, #condition);                       \
	} while (0)

/* Mostly a few pages; sometimes a part of the span, sometimes all of it. */
static size_t random_bytes(struct model *m)
{
	uint32_t most = chance(m, 200)	? m->v->span_pages
			: chance(m, 10) ? m->v->span_pages / 8
			: chance(m, 3)	? 64
					: 9;

	return (size_t)below(m, most) * m->page_bytes + below(m, m->page_bytes) + 1;
}

/* ---- content ------------------------------------------------------------------------------------- */

/* The first and the last bytes of an area's first, middle and last page. */
static void write_stamps(struct model *m, const struct area *area)
{
	const size_t at[] = { 0, area->bytes / 2, area->bytes - 1 };

	(void)m;
	for (unsigned i = 0; i < 3; i++)
		area->addr[at[i]] = (char)(area->stamp * 7 + i);
}

static void check_stamps(struct model *m, const struct area *area)
{
	const size_t at[] = { 0, area->bytes / 2, area->bytes - 1 };

	for (unsigned i = 0; i < 3 && area->bytes >= 8; i++)
		MODEL_CHECK(m, area->addr[at[i]] == (char)(area->stamp * 7 + i));
}

static void check_zero(struct model *m, const char *addr, size_t bytes)
{
	size_t step = bytes > 64 * (size_t)m->page_bytes ? m->page_bytes / 4 : 64;
	char any = addr[bytes - 1];

	for (size_t i = 0; i < bytes; i += step)
		any |= addr[i];
	MODEL_CHECK(m, any == 0);
}

/* ---- the model ------------------------------------------------------------------------------------ */

static uint32_t pages_of(const struct model *m, size_t bytes)
{
	return (uint32_t)((bytes + m->page_bytes - 1) / m->page_bytes);
}

static void mark(struct model *m, const struct area *area, enum page_is was, enum page_is is)
{
	for (uint32_t page = area->start; page < area->start + area->pages; page++) {
		MODEL_CHECK(m, m->pages[page] == was || (was == IS_FREE && !m->config->exact &&
							 m->pages[page] == IS_LAZY));
		m->pages[page] = (uint8_t)is;
	}
	if (is == IS_BUSY)
		m->busy_pages += area->pages;
	if (was == IS_BUSY)
		m->busy_pages -= area->pages;
}

static void purge_model(struct model *m)
{
	for (uint32_t page = 0; page < m->v->span_pages; page++)
		if (m->pages[page] == IS_LAZY)
			m->pages[page] = IS_FREE;
	m->purges++;
}

/* The lowest place, by looking at every page; UINT32_MAX.  @lazy_too: as if all were purged. */
static uint32_t scan(const struct model *m, uint32_t pages, uint32_t align, uint32_t low,
		     uint32_t high, bool lazy_too)
{
	uint32_t run = 0;

	for (uint32_t page = low; page < high; page++) {
		bool hole = m->pages[page] == IS_FREE || (lazy_too && m->pages[page] == IS_LAZY);

		run = hole ? run + 1 : 0;
		if (run >= pages) {
			uint32_t start = page + 1 - pages;
			uint32_t aligned = (start + align - 1) & ~(align - 1);

			if (start == aligned)
				return start;
		}
	}
	return UINT32_MAX;
}

struct wanted {
	size_t bytes;
	uint32_t align, low, high; /* pages */
	unsigned flags;
	bool with_options;
};

static struct wanted want(struct model *m)
{
	struct wanted w = { .bytes = random_bytes(m),
			    .align = 1,
			    .high = m->v->span_pages,
			    .flags = chance(m, 8) ? QUIRE_ZERO : 0 };

	if (!chance(m, 3))
		return w;
	w.with_options = true;
	w.align = 1u << below(m, 8);
	if (chance(m, 2)) {
		w.low = below(m, m->v->span_pages);
		w.high = w.low + 1 + below(m, m->v->span_pages - w.low);
	}
	if (chance(m, 3)) /* exactly as large as what is wanted */
		w.high = w.low + pages_of(m, w.bytes) + m->v->guard_pages;
	if (w.high > m->v->span_pages)
		w.high = m->v->span_pages;
	return w;
}

static char *ask(struct model *m, const struct wanted *w)
{
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = (size_t)w->align * m->page_bytes,
					   .start = m->v->base + (size_t)w->low * m->page_bytes,
					   .end = m->v->base + (size_t)w->high * m->page_bytes,
					   .flags = w->flags);

	errno = 0;
	if (w->with_options)
		return quire_vmalloc_with(m->q, w->bytes, &options);
	return quire_vmalloc(m->q, w->bytes, w->flags);
}

/* Where it must be, in the end; purges the model if that is needed. */
static uint32_t expected_start(struct model *m, const struct wanted *w)
{
	uint32_t pages = pages_of(m, w->bytes) + m->v->guard_pages;
	uint32_t start = scan(m, pages, w->align, w->low, w->high, false);

	if (start == UINT32_MAX && pages <= m->v->span_pages) {
		purge_model(m);
		start = scan(m, pages, w->align, w->low, w->high, false);
	}
	return start;
}

/* Refused: was there really nothing?  Memory may have been short. */
static void check_refusal(struct model *m, const struct wanted *w)
{
	uint32_t pages = pages_of(m, w->bytes) + m->v->guard_pages;
	uint64_t limit = m->q->options.limit_bytes / m->page_bytes;

	m->refusals++;
	if (errno == ENOMEM) {
		MODEL_CHECK(m, m->busy_pages + pages + limit / 16 + MIB(4) / m->page_bytes > limit);
	} else {
		MODEL_CHECK(m, errno == ENOSPC);
		MODEL_CHECK(m, scan(m, pages, w->align, w->low, w->high, true) == UINT32_MAX);
	}
}

static void note_place(struct model *m, struct area *area)
{
	const struct range *r;

	area->start = (uint32_t)((size_t)(area->addr - m->v->base) / m->page_bytes);
	r = range_at(m->v, m->v->map[area->start]);
	area->pages = r->pages;
	MODEL_CHECK(m, r->start == area->start && range_state(r) == RANGE_BUSY);
	MODEL_CHECK(m, r->usable + m->v->guard_pages <= r->pages);
	MODEL_CHECK(m, r->usable >= pages_of(m, area->bytes));
}

static void add_area(struct model *m, char *addr, const struct wanted *w)
{
	struct area *area = &m->areas[m->areas_nr++];

	*area = (struct area){ .addr = addr, .bytes = w->bytes, .stamp = (uint32_t)m->op };
	note_place(m, area);
	MODEL_CHECK(m, area->start % w->align == 0);
	MODEL_CHECK(m, area->start >= w->low && area->start + area->pages <= w->high);
	mark(m, area, IS_FREE, IS_BUSY);
	if (w->flags & QUIRE_ZERO)
		check_zero(m, addr, w->bytes);
	write_stamps(m, area);
}

static void op_alloc(struct model *m)
{
	struct wanted w = want(m);
	uint32_t expected = m->config->exact ? expected_start(m, &w) : 0;
	char *addr = ask(m, &w);

	if (addr == NULL)
		check_refusal(m, &w);
	if (m->config->exact) {
		uint32_t start = addr == NULL
					 ? UINT32_MAX
					 : (uint32_t)((size_t)(addr - m->v->base) / m->page_bytes);

		if (start != expected)
			print_message("%zu bytes, align %u in %u..%u: at %u, expected %u\n",
				      w.bytes, w.align, w.low, w.high, start, expected);
		MODEL_CHECK(m, start == expected);
	}
	if (addr != NULL)
		add_area(m, addr, &w);
}

static void op_free(struct model *m)
{
	uint32_t i = below(m, m->areas_nr);
	struct area area = m->areas[i];

	check_stamps(m, &area);
	MODEL_CHECK(m, quire_vmalloc_start(m->q, area.addr + area.bytes / 3) == area.addr);
	MODEL_CHECK(m, quire_vmalloc_size(m->q, area.addr + area.bytes - 1) == area.bytes);
	quire_vfree(m->q, area.addr);
	mark(m, &area, IS_BUSY, IS_LAZY);
	m->areas[i] = m->areas[--m->areas_nr];
	MODEL_CHECK(m, quire_vmalloc_size(m->q, area.addr) == 0);
}

/* Where it lands is not foretold, but that it lands on nobody. */
static void op_resize(struct model *m)
{
	struct area *area = &m->areas[below(m, m->areas_nr)], old = *area;
	size_t bytes = random_bytes(m);
	char first = area->addr[0];
	char *addr = quire_vrealloc(m->q, area->addr, bytes, 0);

	if (addr == NULL) {
		MODEL_CHECK(m, errno == ENOSPC || errno == ENOMEM);
		check_stamps(m, area);
		purge_model(m); /* which it did before it refused */
		return;
	}
	MODEL_CHECK(m, addr[0] == first);
	m->in_place += addr == old.addr;
	m->moved += addr != old.addr;
	mark(m, &old, IS_BUSY, IS_LAZY);
	/* It may have purged, and it may have grown over what it gave up or what is lazy. */
	if (m->config->exact && addr != old.addr)
		purge_model(m);
	area->addr = addr;
	area->bytes = bytes;
	note_place(m, area);
	for (uint32_t page = area->start; page < area->start + area->pages; page++) {
		MODEL_CHECK(m, m->pages[page] != IS_BUSY);
		m->pages[page] = IS_BUSY;
	}
	m->busy_pages += area->pages;
	write_stamps(m, area);
	if (m->config->exact) {
		quire_vmap_purge(m->q);
		purge_model(m);
	}
}

static void op_purge(struct model *m)
{
	quire_vmap_purge(m->q);
	purge_model(m);
}

static void check_counts(struct model *m)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	MODEL_CHECK(m, quire_verify(m->q) == 0);
	MODEL_CHECK(m, quire_vmap_stat_read(m->q, &stat) == 0);
	MODEL_CHECK(m, stat.busy_areas == m->areas_nr);
}

static void step(struct model *m)
{
	bool room = m->areas_nr < AREAS_MAX;

	if (m->op % PHASE_OPS == 0)
		m->wanted_areas = 1 + below(m, AREAS_MAX - 1);
	if (chance(m, 2000))
		op_purge(m);
	else if (m->areas_nr != 0 && chance(m, 30))
		op_resize(m);
	else if (room && (m->areas_nr == 0 || (m->areas_nr < m->wanted_areas) == !chance(m, 4)))
		op_alloc(m);
	else
		op_free(m);
}

static void run(const struct config *config, uint64_t seed, uint64_t ops)
{
	uint64_t verify_every = env_u64("QUIRE_MODEL_VERIFY", VERIFY_EVERY);
	static struct model m;
	struct quire_options options = config->options;

	m = (struct model){ .config = config, .seed = seed, .random = seed | 1, .ops = ops };
	options.worker = QUIRE_WORKER_OFF;
	options.limit_bytes = options.limit_bytes != 0 ? options.limit_bytes : MIB(256);
	options.vmap_span_bytes = options.vmap_span_bytes != 0 ? options.vmap_span_bytes : MIB(16);
	if (config->exact) {
		options.cache = QUIRE_OFF;
		options.thp = QUIRE_OFF;
	}
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &m.q), 0);
	quire_vfree(m.q, quire_vmalloc(m.q, 1, 0));
	quire_vmap_purge(m.q);
	m.v = m.q->vmap;
	m.page_bytes = (uint32_t)quire_page_bytes(m.q);
	m.pages = calloc(m.v->span_pages, 1);
	assert_non_null(m.pages);
	for (m.op = 0; m.op < ops; m.op++) {
		step(&m);
		if (m.op % verify_every == 0)
			check_counts(&m);
	}
	while (m.areas_nr != 0)
		op_free(&m);
	check_counts(&m);
	print_message("%s: %llu refusals, %llu purges, %llu resized in place, %llu moved\n",
		      config->name, (unsigned long long)m.refusals, (unsigned long long)m.purges,
		      (unsigned long long)m.in_place, (unsigned long long)m.moved);
	assert_true(m.refusals != 0 && m.moved != 0 && m.in_place != 0);
	quire_destroy(m.q);
	free(m.pages);
}

static void areas_agree_with_a_linear_scan(void **state)
{
	uint64_t seed = env_u64("QUIRE_MODEL_SEED", (uint64_t)time(NULL));
	uint64_t ops =
		env_u64("QUIRE_VMAP_MODEL_OPS", MACHINE_TSAN ? OPS_DEFAULT / 10 : OPS_DEFAULT);
	uint64_t only = env_u64("QUIRE_MODEL_ONLY", UINT64_MAX);

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		if (only == UINT64_MAX || only == i)
			run(&configs[i], seed + i, ops);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(areas_agree_with_a_linear_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
