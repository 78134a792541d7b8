/* SPDX-License-Identifier: MIT */
/*
 * stat/observe.c - filling the observed page
 *
 * With observe:on the instance has one module more, whose only task is to be called by the worker after its visits: it
 * writes all figures, and the texts in Linux's shapes, into a file that others map (page.h).  No allocation or free
 * stores anything for it.
 *
 * Cost.  Four times a second, and never more than one part in 200 of the time: an instance whose figures take longer than
 * 1.25 ms is shown less often.  The worker's thread exists as long as the instance is observed.
 *
 * The file is made on the worker's thread, when the instance, or a child of fork, is an interval old: a shell's short-lived commands
 * leave none. If it cannot be made, the instance is not observed, and the thread goes when it has nothing else to do.
 * The file stays when the process ends, and goes with an instance that is destroyed.
 */
#include <stddef.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/quire.h>
#include <quire/slab.h>
#include <quire/stat.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/round.h"
#include "base/text.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "instance/options.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/work.h"
#include "page/map.h"
#include "percpu/stat.h"
#include "stat/kind.h"
#include "stat/page.h"
#include "vmap/stat.h"

#define INTERVAL_NS ((uint64_t)250 * 1000 * 1000)
#define COST_PARTS  200u
#define HEADER_ROOM 1024u
#define ROOM_MAX    20480u /* of a section */

struct observer {
	struct quire_module module; /* first */
	struct quire *q;
	struct observed_file file;
	struct page_header *page; /* in it, the worker's; NULL: not made yet, or not to be had */
	bool refused;
	uint64_t due_ns;
	char text[ROOM_MAX]; /* a section on its way into the page */
};

/* ---- the page ---- */

/* The program's own options, for `quire conf`. */
static size_t put_program_conf(const struct quire *q, char *buffer, size_t bytes)
{
	const char *conf = process_conf_symbol();
	struct text text;

	(void)q;
	text_init(&text, buffer, bytes);
	text_put(&text, conf != NULL ? conf : "");
	return text.bytes;
}

/* What a section holds, and the room for it.  Lists that may be longer are cut: they are for people. */
static const struct {
	const char *name;
	size_t (*write)(const struct quire *q, char *buffer, size_t bytes);
	uint32_t room_bytes;
} sections[PAGE_SECTIONS_NR] = {
	{ "json", quire_stat_json, 8192 },
	{ "options", quire_text_options, 1024 },
	{ "buddyinfo", quire_text_buddyinfo, 2048 },
	{ "pagetypeinfo", quire_text_pagetypeinfo, 6656 },
	{ "zoneinfo", quire_text_zoneinfo, 8192 },
	{ "percpu_stats", quire_text_percpu_stats, 4096 },
	{ "slabinfo", quire_text_slabinfo, ROOM_MAX },
	{ "vmallocinfo", vmap_text_first_areas, 8192 },
	{ "blocks", page_text_map, 3328 },
	{ "chunks", percpu_text_map, 1792 },
	{ "quire_conf", put_program_conf, 512 },
};

_Static_assert(sizeof(struct page_header) <= HEADER_ROOM, "the header's room");
_Static_assert(HEADER_ROOM + 8192 + 1024 + 2048 + 6656 + 8192 + 4096 + ROOM_MAX + 8192 + 3328 +
			       1792 + 512 ==
		       PAGE_BYTES,
	       "header and sections are the whole file");
_Static_assert(offsetof(struct page_header, process) == OBSERVED_PROCESS_OFFSET,
	       "machine/observed.h knows where it is");

static size_t observer_bytes(void)
{
	return round_up(sizeof(struct observer), mem_page_bytes());
}

static struct page_header *make_page(struct observed_file *file)
{
	struct page_header *page;
	uint32_t offset = HEADER_ROOM;

	if (observed_create(file, PAGE_BYTES) != 0)
		return NULL;
	page = file->addr;
	page->version = PAGE_VERSION;
	page->header_bytes = offsetof(struct page_header, section);
	page->sections_nr = PAGE_SECTIONS_NR;
	page->sections_offset = offsetof(struct page_header, section);
	page->section_bytes = sizeof(page->section[0]);
	for (unsigned i = 0; i < PAGE_SECTIONS_NR; i++) {
		struct page_section *section = &page->section[i];

		for (size_t c = 0; sections[i].name[c] != '\0'; c++)
			section->name[c] = sections[i].name[c];
		section->offset = offset;
		section->room_bytes = sections[i].room_bytes;
		offset += section->room_bytes;
	}
	store_release(&page->magic, PAGE_MAGIC); /* all is there for a reader that finds it */
	return page;
}

/* The count is odd for the copy only: figures may wait for a visit, and the process may be killed meanwhile. */
static void write_section(struct observer *observer, unsigned idx)
{
	struct page_header *page = observer->page;
	struct page_section *section = &page->section[idx];
	uint32_t seq = load_relaxed(&section->seq) + 1;
	size_t whole = sections[idx].write(observer->q, observer->text, section->room_bytes);

	store_relaxed(&section->seq, seq);
	fence_seq_cst(); /* odd before the first byte; pairs with the reader's fence */
	section->whole_bytes = (uint32_t)whole;
	section->bytes = whole < section->room_bytes ? (uint32_t)whole : section->room_bytes - 1;
	memcpy((char *)page + section->offset, observer->text, section->bytes + 1);
	store_release(&section->seq, seq + 1); /* pairs with the reader's first load */
}

/* ---- the module ---- */

static uint64_t write_page(struct observer *observer, uint64_t now_ns)
{
	struct page_header *page = observer->page;
	uint64_t cost_ns, interval_ns;

	for (unsigned i = 0; i < PAGE_SECTIONS_NR; i++)
		write_section(observer, i);
	cost_ns = (clock_now_ns() - now_ns) * COST_PARTS;
	interval_ns = cost_ns > INTERVAL_NS ? cost_ns : INTERVAL_NS;
	store_relaxed(&page->interval_ns, interval_ns);
	store_relaxed(&page->updated_ns, now_ns);
	return now_ns + interval_ns;
}

static uint64_t observe(struct quire_module *module, uint64_t now_ns)
{
	struct observer *observer = (struct observer *)module;

	if (observer->refused)
		return WORK_IDLE;
	if (now_ns < observer->due_ns)
		return observer->due_ns;
	if (observer->page == NULL)
		observer->page = make_page(&observer->file);
	observer->refused = observer->page == NULL;
	if (observer->refused)
		return WORK_IDLE;
	observer->due_ns = write_page(observer, clock_now_ns());
	return observer->due_ns;
}

static void begin_later(struct observer *observer)
{
	observer->due_ns = clock_now_ns() + INTERVAL_NS;
	worker_kick(observer->q, observer->due_ns);
}

/* The file is the parent's. */
static void fork_child(struct quire_module *module)
{
	struct observer *observer = (struct observer *)module;

	if (observer->page != NULL)
		observed_close(&observer->file);
	observer->page = NULL;
	begin_later(observer);
}

static void fini(struct quire_module *module)
{
	struct observer *observer = (struct observer *)module;

	if (observer->page != NULL)
		observed_remove(&observer->file);
	mem_release(observer, observer_bytes());
}

/* Without memory the instance is not observed. */
static void begin(struct quire *q)
{
	struct observer *observer;

	if (q->options.observe != QUIRE_ON)
		return;
	observer = mem_map(observer_bytes(), "quire-observer");
	if (observer == NULL)
		return;
	observer->q = q;
	observer->module = (struct quire_module){
		.rank = RANK_VISIT, .fini = fini, .fork_child = fork_child, .observe = observe
	};
	mutex_acquire(&q->modules_mutex);
	module_register_locked(q, &observer->module);
	mutex_release(&q->modules_mutex);
	begin_later(observer);
}

/* ---- the option ---- */

static const struct option_key keys[] = {
	{ .name = "observe",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(observe),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "off",
	  .does = "figures in a file, four times a second, for `quire stats`" },
};

static void used(const struct quire *q, struct options_used *used)
{
	used->options.observe = option_switch(q->options.observe, QUIRE_OFF);
}

static const struct option_table table = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};

const struct module_kind stat_kind = { .options = &table, .begin = begin };
