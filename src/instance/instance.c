/* SPDX-License-Identifier: MIT */
/*
 * instance/instance.c - creating and destroying an instance, the default instance, and fork
 *
 * What is done here concerns all modules; each does its own part when it is called (module.h).
 *
 * Fork.  prepare takes, in rank order, every waiting lock, then every spin lock, with all stacks
 * closed: no thread is in the middle of a sequence while the kernel copies the address space page by
 * page.  Parent and child open and release.  In the child the worker is gone until the next slow path,
 * and what other threads had in hand is lost by design.
 *
 * With backing:memfd the frames' memory is shared, and a child that wrote to it would change its
 * parent's.  So in the child the instance is dead: nothing is mapped at the frames' addresses,
 * and other mappings may appear there, so the instance never touches or unmaps them.  Calls about pages
 * and areas fail with EOWNERDEAD and frees do nothing; fast paths need no check, because the modules make
 * them refuse.  Per-CPU objects are private memory of the child's and stay usable.
 */
#include "instance/instance.h"

#include <limits.h>

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "base/sized.h"
#include "base/text.h"
#include "instance/conf.h"
#include "instance/kind.h"
#include "instance/module.h"
#include "instance/options.h"
#include "instance/shrinker.h"
#include "instance/worker.h"
#include "machine/annotate.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"

#define DECAY_MS_DEFAULT 1000u

/* ---- parts ---- */

static unsigned log2_of(size_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

static void init_options(struct quire *q, const struct quire_options *options)
{
	unsigned system = log2_of(mem_page_bytes());

	q->options = *options;
	q->annotated = annotate_wanted();
	/* A tool sees such writes itself, and would take the look at free memory for one. */
	q->page_poison = options->page_poison == QUIRE_ON && !q->annotated;
	q->watched = q->annotated || q->page_poison;
	if (q->watched)
		q->options.rseq = QUIRE_OFF;
	q->shared = options->backing == QUIRE_BACKING_MEMFD;
	q->page_shift = (uint8_t)(options->page_shift > system ? options->page_shift : system);
	q->thp = options->thp != QUIRE_OFF;
	q->thp_always = options->thp == QUIRE_ON;
	q->report = options->report != QUIRE_OFF;
	q->decay_base_ns =
		(uint64_t)(options->decay_ms != 0 ? options->decay_ms : DECAY_MS_DEFAULT) * 1000000;
	if (options->isolated != NULL &&
	    options_cpu_list(options->isolated, q->isolated_words,
			     sizeof(q->isolated_words) * CHAR_BIT) == 0)
		q->isolated_cpus = q->isolated_words;
	q->options.isolated = NULL; /* the caller's text, which it may free */
}

static void init_worker(struct quire *q)
{
	static const enum work_mode modes[] = {
		[QUIRE_WORKER_DEFAULT] = WORK_THREAD,
		[QUIRE_WORKER_THREAD] = WORK_THREAD,
		[QUIRE_WORKER_INLINE] = WORK_INLINE,
		[QUIRE_WORKER_OFF] = WORK_OFF,
	};
	struct work_options work;

	work.mode = q->report ? modes[q->options.worker] : WORK_OFF;
	work.pause_ns = q->decay_base_ns;
	work.isolated_cpus = q->isolated_cpus;
	work.isolated_words = sizeof(q->isolated_words) / sizeof(q->isolated_words[0]);
	work_init(&q->work, &work, worker_run, q);
	q->looks = work_needs_callers(&q->work);
}

void instance_number_cpus(struct quire *q)
{
	stack_setup(&q->cpus, q->options.slots, q->isolated_cpus != NULL || q->nodes_nr > 1,
		    q->options.rseq != QUIRE_OFF);
	if (q->cpus.all_slots_nr > SLOTS_MAX)
		q->cpus.all_slots_nr = SLOTS_MAX;
	if (q->cpus.slots_nr > q->cpus.all_slots_nr)
		q->cpus.slots_nr = q->cpus.all_slots_nr;
}

/* ---- fork ---- */

static struct quire *member_quire(struct process_member *member)
{
	return (struct quire *)(void *)((char *)member - offsetof(struct quire, member));
}

static void fork_prepare(struct process_member *member)
{
	struct quire *q = member_quire(member);

	mutex_acquire(&q->worker_mutex);
	mutex_acquire(&q->shrinkers->mutex);
	modules_fork_prepare_mutexes(q);
	modules_fork_prepare_locks(q);
}

static void fork_parent(struct process_member *member)
{
	struct quire *q = member_quire(member);

	modules_fork_done(q, false);
	mutex_release(&q->shrinkers->mutex);
	mutex_release(&q->worker_mutex);
}

static void fork_child(struct process_member *member)
{
	struct quire *q = member_quire(member);

	q->forked = true;
	q->dead = q->shared; /* before a handler can find a lock free, or an empty span */
	work_fork_child(&q->work);
	worker_follow(q);
	modules_fork_done(q, true);
	mutex_release(&q->shrinkers->mutex);
	mutex_release(&q->worker_mutex);
	modules_fork_child(q);
	worker_fork_child(q);
}

/* ---- create and destroy ---- */

/* The kind of the module that is created with every instance. */
static const struct module_kind *lowest_kind(void)
{
	unsigned i = 0;

	while (module_kinds[i]->create == NULL) {
		i++;
		CHECK(module_kinds[i] != NULL);
	}
	return module_kinds[i];
}

/* The size of an instance's own mapping: whole pages, since no allocator exists below this layer. */
static size_t mapping_bytes(void)
{
	const struct module_kind *kind = lowest_kind();

	return round_up(kind->struct_offset + kind->own_bytes(), mem_page_bytes());
}

static struct quire *mapping_make(void)
{
	char *addr = mem_map(mapping_bytes(), "quire");

	return addr == NULL ? NULL : (struct quire *)(void *)(addr + lowest_kind()->struct_offset);
}

static void mapping_release(struct quire *q)
{
	mem_release((char *)q - lowest_kind()->struct_offset, mapping_bytes());
}

int quire_create(const struct quire_options *options, struct quire **out)
{
	struct quire_options known = QUIRE_OPTIONS_INIT();
	struct quire *q;
	int error = 0;

	if (options != NULL)
		error = sized_read(&known, sizeof(known), options);
	if (!error)
		error = quire_options_check(&known);
	if (error)
		return error;
	q = mapping_make();
	if (q == NULL)
		return -ENOMEM;
	init_options(q, &known);
	mutex_init(&q->worker_mutex, RANK_WORKER);
	mutex_init(&q->modules_mutex, RANK_MODULES);
	mutex_init(&q->visit_mutex, RANK_VISIT);
	mutex_init(&q->huge_mutex, RANK_HUGE);
	init_worker(q);
	error = lowest_kind()->create(q);
	if (error) {
		mapping_release(q);
		return error;
	}
	q->member = (struct process_member){ .fork_prepare = fork_prepare,
					     .fork_parent = fork_parent,
					     .fork_child = fork_child };
	process_register(&q->member);
	for (unsigned i = 0; module_kinds[i] != NULL; i++)
		if (module_kinds[i]->begin != NULL)
			module_kinds[i]->begin(q);
	*out = q;
	return 0;
}

void quire_destroy(struct quire *q)
{
	if (q == NULL)
		return;
	if (shrinkers_call_this(q))
		misuse("destroyed by its shrinker", __func__, q);
	process_forget_default(q); /* first: what is moved must not come back here */
	process_unregister(&q->member);
	work_stop(&q->work);
	modules_fini(q);
	mapping_release(q);
}

/* ---- the default instance ---- */

static void take_conf(const struct conf_part *part, void *options)
{
	char error[256], line[320];
	struct text text;

	if (part->error == NULL &&
	    quire_options_parse(part->text, options, error, sizeof(error)) == 0)
		return;
	text_init(&text, line, sizeof(line));
	text_put(&text, part->error != NULL ? part->error : error);
	if (part->line != 0)
		conf_put_place(&text, part);
	process_exit_conf(line);
}

static struct quire *default_make(void)
{
	struct quire_options options = QUIRE_OPTIONS_INIT();
	struct quire *q = NULL;

	conf_read(take_conf, &options);
	if (quire_create(&options, &q) != 0)
		process_set_errno(ENOMEM);
	return q;
}

struct quire *quire_default(void)
{
	return process_default(default_make);
}

/* ---- small answers ---- */

unsigned quire_cpu(void)
{
	return process_cpu();
}

unsigned quire_slots(const struct quire *q)
{
	return q->cpus.all_slots_nr;
}

/* ---- the whole instance ---- */

size_t quire_release(struct quire *q)
{
	size_t bytes;

	if (q->dead)
		return 0;
	/* A concurrent visit would return memory that this sum then lacks. */
	worker_exclude_begin(q);
	bytes = modules_shrink(q);
	bytes += modules_give_back(q);
	worker_exclude_end(q);
	return bytes;
}

int quire_verify(const struct quire *q)
{
	struct quire *quiet;
	int label;

	if (q->dead)
		return -EOWNERDEAD;
	quiet = worker_exclude_begin(q);
	label = modules_verify(quiet);
	worker_exclude_end(quiet);
	return label;
}
