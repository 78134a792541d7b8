/* SPDX-License-Identifier: MIT */
/*
 * malloc/heap.c - making the heap
 *
 * The first call that may makes it.  Meanwhile other calls, of other threads, of libc's functions that the
 * making calls, and of handlers that interrupt it, are served by the boot arena.
 *
 *   state      when                                         to
 *   NONE       a call finds it, and may begin               its thread: this one makes it
 *   a thread   the instance and its slabs are made          READY
 *   a thread   the system refused                           NONE: the next call tries again
 *   a thread   in a child of fork: its maker is not there   NONE
 *
 * So at any step a handler sees whether it has interrupted the maker, for which it must not wait.
 *
 * The instance is the one that process_default() holds, since its mutex is taken by fork: no child has an
 * instance that is half made.
 *
 * Options come from QUIRE_CONF, then from QUIRE_MALLOC_CONF, which another Quire in the process does not
 * read.  Neither may stop a program that knows nothing of Quire: a wrong item is left out, with a line that
 * says so.
 */
#include "malloc/heap.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "instance/conf.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "malloc/countdown.h"
#include "malloc/counted.h"
#include "malloc/debug.h"
#include "malloc/hardened.h"
#include "malloc/layer.h"
#include "malloc/profile.h"
#include "malloc/profile_file.h"
#include "malloc/recorded.h"
#include "malloc/sampled.h"
#include "slab/class.h"
#include "slab/slab.h"

/* Of malloc_heap.state.  Any other value is the thread that makes the heap: process_thread(). */
#define HEAP_NONE  UINT64_C(0)
#define HEAP_READY UINT64_MAX

#define CONF_BYTES_MAX 4096u
#define LINE_BYTES     320u

struct malloc_heap malloc_heap;

/* ---- options ---- */

/* What was read, and of what. */
struct conf {
	struct quire_options options;
	size_t used;		    /* of the items */
	bool is_wrong;		    /* something was ignored */
	char items[CONF_BYTES_MAX]; /* each with its NUL; lists of CPUs point into them */
};

static void warn_about(struct conf *conf, const struct conf_part *part, const char *what)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, what);
	conf_put_place(&text, part);
	text_put(&text, "; ignored\n");
	malloc_warn(line);
	conf->is_wrong = true;
}

/* The item at @text, copied; NULL if there is no room for it. */
static char *copy_item(struct conf *conf, const char *text, size_t *bytes)
{
	char *item = &conf->items[conf->used];

	for (*bytes = 0; text[*bytes] != '\0' && text[*bytes] != ',';)
		++*bytes;
	if (*bytes >= sizeof(conf->items) - conf->used)
		return NULL;
	memcpy(item, text, *bytes);
	item[*bytes] = '\0';
	conf->used += *bytes + 1;
	return item;
}

/* Each item by itself: a wrong one is left out, and the program goes on. */
static void take_conf(const struct conf_part *part, void *arg)
{
	struct conf *conf = arg;
	const char *at = part->text;

	if (part->error != NULL) {
		warn_about(conf, part, part->error);
		return;
	}
	for (;;) {
		char error[LINE_BYTES - 96];
		size_t bytes;
		const char *item = copy_item(conf, at, &bytes);

		if (item == NULL) {
			warn_about(conf, part, "quire: too long a text");
			return;
		}
		if (quire_options_parse(item, &conf->options, error, sizeof(error)) != 0)
			warn_about(conf, part, error);
		if (at[bytes] == '\0')
			return;
		at += bytes + 1;
	}
}

/* What was not asked for. */
static void choose_defaults(struct quire_options *options)
{
	bool hardened = options->hardened == QUIRE_ON;

	/* A guard page is a page table entry and often a system call. */
	if (options->guard == QUIRE_GUARD_DEFAULT)
		options->guard = hardened ? QUIRE_GUARD_FREED : QUIRE_GUARD_OFF;
	/* A slab with a guard has no huge page, and looking for one is in vain. */
	if (options->thp == QUIRE_DEFAULT && hardened)
		options->thp = QUIRE_OFF;
	if (options->observe == QUIRE_DEFAULT && malloc_counted_wanted())
		options->observe = QUIRE_ON;
}

static struct quire *make_instance(void)
{
	static struct conf conf; /* one thread at a time; a small stack has no room for it */
	struct quire *q = NULL;

	mem_reserve_most();
	conf.options = (struct quire_options)QUIRE_OPTIONS_INIT();
	conf.used = 0;
	conf.is_wrong = false;
	conf_read(take_conf, &conf);
	conf_take_text(process_env("QUIRE_MALLOC_CONF"), "QUIRE_MALLOC_CONF", take_conf, &conf);
	if (conf.is_wrong && conf.options.strict == QUIRE_ON)
		process_exit_conf("quire: strict:on, and there are wrong options");
	choose_defaults(&conf.options);
	conf.options.backing = QUIRE_BACKING_ANON; /* a child of fork has its heap */
	return quire_create(&conf.options, &q) == 0 ? q : NULL;
}

/* ---- making ---- */

/* Pairs with their loads: whoever finds these limits finds the rest.  The loads are relaxed, since only x86 has lean
 * sequences, and its processors keep loads in order; that the compiler does, too, with a branch between them, is more
 * than C11 promises.  Elsewhere the sequences refuse whatever is found. */
void malloc_open_fast_paths(void)
{
	struct malloc_heap *h = &malloc_heap;
	bool counts = h->layer == &malloc_sampled || profile_is_on();

	if (h->modes != 0)
		return;
	if (h->slabs->page_shift == HEAP_PAGE_SHIFT)
		store_release(&h->entries, h->slabs->entries);
	/* Without sequences the layer counts, and no path is fast. */
	store_release(&malloc_countdown.end,
		      counts && h->lean.slots_open != 0 ? MALLOC_SMALL_MAX + 1 : 0);
	store_release(&h->small_end, counts ? 0 : MALLOC_SMALL_MAX + 1);
}

const struct malloc_layer malloc_plain = {
	.alloc = plain_alloc,
	.free = plain_free,
	.usable = plain_usable,
	.resize = plain_resize,
};

static const struct malloc_layer *begin_recording(struct malloc_heap *h,
						  const struct malloc_layer *below)
{
	const struct malloc_layer *top = malloc_recorded_begin(below);

	if (top != below)
		h->modes |= MALLOC_RECORDED;
	return top;
}

/* The modes that options ask for, and their layers, from the lowest on.  A mode whose layer the system refuses is
 * left out. */
static const struct malloc_layer *begin_layers(struct malloc_heap *h)
{
	const struct malloc_layer *top = &malloc_plain;

	if (h->q->hardened) {
		h->modes |= MALLOC_HARDENED;
		top = &malloc_hardened;
	}
	if (h->q->options.debug == QUIRE_ON) {
		const struct malloc_layer *below = top;

		top = malloc_debug_begin(below);
		if (top != below)
			h->modes |= MALLOC_DEBUG;
	}
	if (h->modes == 0 && h->q->options.sample != 0 && sampled_begin(h->q->options.sample)) {
		top = &malloc_sampled;
		h->q->sample = h->q->options.sample;
	}
	h->q->debug = (h->modes & MALLOC_DEBUG) != 0;
	return begin_recording(h, top);
}

static void begin_counting(struct malloc_heap *h)
{
	malloc_counted_begin();
	h->modes &= ~MALLOC_COUNTED;
	if (malloc_is_counted())
		h->modes |= MALLOC_COUNTED;
}

/* What has the place that a profile's layer needs; NULL: nothing. */
static const char *mode_beside_profile(const struct malloc_heap *h)
{
	if (h->modes & MALLOC_DEBUG)
		return "debug";
	if (h->modes & MALLOC_HARDENED)
		return "hardened";
	if (h->q->sample != 0)
		return "sample";
	return h->modes & MALLOC_RECORDED ? "quire record" : NULL;
}

static void warn_of_profile(const struct malloc_heap *h)
{
	const char *beside = mode_beside_profile(h);
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: profile");
	text_put(&text, beside != NULL ? " does not go with " : ": no addresses are left");
	text_put(&text, beside != NULL ? beside : "");
	text_put(&text, "; ignored\n");
	malloc_warn(line);
}

/* What is refused is refused for good: the program goes on without. */
static void begin_profile(struct malloc_heap *h)
{
	uint64_t bytes = h->q->options.profile_bytes;
	unsigned shift = bytes != 0 ? profile_shift(bytes) : 0;

	profile_file_begin(h->q->options.profile_signal);
	malloc_counted_profile(&shift);
	if (shift == 0)
		return;
	if (profile_start(shift) == 0)
		h->q->profile_bytes = (uint64_t)1 << shift;
	else
		warn_of_profile(h);
}

static void publish(struct quire *q, struct slabs *s)
{
	struct malloc_heap *h = &malloc_heap;
	const struct malloc_layer *top;

	h->q = q;
	malloc_table_fill(h->class_of, q->hardened);
	malloc_coarse_begin(&h->coarse, s, h->class_of);
	malloc_learn_begin(&h->learn, s, h->class_of);
	h->base = s->base;
	h->byte = s->byte;
	mutex_acquire(&s->mutex); /* a fork closes the sheaves by s->lean, and opens them by it */
	if (s->lean == &s->own_lean) { /* no second thread yet: its making allocates */
		h->lean = s->own_lean;
		s->lean = &h->lean;
	}
	mutex_release(&s->mutex);
	h->slabs = s;
	profile_begin();
	top = begin_layers(h);
	begin_counting(h);
	store_release(&h->layer, top); /* pairs with malloc_free_cold() */
	malloc_open_fast_paths();
	begin_profile(h);
}

/* The instance's slabs are to be made yet: a program that has had caches of it before it called malloc goes on without. */
static void set_hardened(struct quire *q)
{
	bool made;

	if (q->options.hardened != QUIRE_ON)
		return;
	mutex_acquire(&q->modules_mutex);
	made = q->slabs != NULL;
	store_relaxed(&q->hardened, !made); /* areas ask for each */
	mutex_release(&q->modules_mutex);
	if (made)
		malloc_warn("quire: hardened:on comes too late, the default instance has had "
			    "caches; ignored\n");
}

static bool make(void)
{
	struct quire *q = process_default(make_instance);
	struct slabs *s;
	int error = 0;

	if (q == NULL)
		return false;
	set_hardened(q);
	s = slabs_get(q, &error);
	if (s == NULL)
		return false;
	class_reserve(s, MALLOC_CLASSES_NR);
	s->free_call = "free"; /* nothing was freed yet */
	publish(q, s);
	return true;
}

bool malloc_is_ready(void)
{
	return load_acquire(&malloc_heap.state) == HEAP_READY; /* pairs with begin() */
}

static bool begin(bool may_begin)
{
	uint64_t state = load_acquire(&malloc_heap.state); /* pairs with the store below */
	int error;

	if (state == HEAP_READY)
		return true;
	if (!may_begin || state != HEAP_NONE)
		return false;
	if (!cas_acquire(&malloc_heap.state, &state, process_thread()))
		return malloc_is_ready(); /* what a failed swap finds it does not acquire */
	error = process_errno();
	state = make() ? HEAP_READY : HEAP_NONE;
	store_release(&malloc_heap.state, state);
	process_set_errno(error);
	return state == HEAP_READY;
}

bool malloc_begin(void)
{
	return malloc_is_ready() || begin(malloc_is_bound());
}

bool malloc_begin_waiting(void)
{
	while (!begin(malloc_is_relocated())) {
		uint64_t state = load_relaxed(&malloc_heap.state); /* begin() loads it again */

		if (state == HEAP_NONE || state == process_thread())
			return false;
		if (state != HEAP_READY) /* it was another thread's until now */
			malloc_yield();
	}
	return true;
}

/* ---- fork ---- */

static void nothing(struct process_member *member)
{
	(void)member;
}

/* A child that is not recorded has the layers below. */
static void leave_recording(struct malloc_heap *h)
{
	const struct malloc_layer *top = malloc_recorded_fork_child();

	if (top == h->layer)
		return;
	store_relaxed(&h->layer, top); /* the child has one thread */
	h->modes &= ~MALLOC_RECORDED;
	malloc_open_fast_paths();
}

static void fork_child(struct process_member *member)
{
	(void)member;
	profile_fork_child();
	profile_file_fork_child();
	if (malloc_heap.modes & MALLOC_COUNTED) {
		begin_counting(&malloc_heap);
		malloc_open_fast_paths();
	}
	if (malloc_heap.modes & MALLOC_RECORDED)
		leave_recording(&malloc_heap);
	if (load_relaxed(&malloc_heap.state) != HEAP_READY)
		store_relaxed(&malloc_heap.state, HEAP_NONE);
	if (malloc_heap.modes & MALLOC_DEBUG)
		malloc_debug_fork_child();
}

void malloc_register(void)
{
	static struct process_member member = { .fork_prepare = nothing,
						.fork_parent = nothing,
						.fork_child = fork_child };

	process_register(&member);
}

size_t malloc_give_back(void)
{
	const struct malloc_layer *layer;

	if (!malloc_begin())
		return 0;
	layer = load_relaxed(&malloc_heap.layer); /* what it flushes was made with the heap */
	if (layer->flush != NULL)
		layer->flush(MALLOC_CALL("malloc_trim"));
	return quire_release(malloc_heap.q);
}

void malloc_end(void)
{
	if (!malloc_is_ready())
		return;
	profile_file_end();
	if (malloc_heap.modes & MALLOC_DEBUG)
		malloc_debug_end();
}

void malloc_retire_worker(void)
{
	if (malloc_is_ready())
		worker_retire(malloc_heap.q);
}
