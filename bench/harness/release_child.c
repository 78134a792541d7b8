/* SPDX-License-Identifier: MIT */
/*
 * release_child.c - threads allocate memory, free all of it, and sleep
 *
 * pages|areas|objects ask|idle LOCK USAGE
 *
 *	pages	16 threads allocate 300 MiB in blocks of order 0..3
 *	areas	4 threads allocate 256 MiB in blocks of random sizes up to 4 MiB; 32 MiB more stay live
 *	objects	16 threads allocate 300 MiB in objects of 16 to 8,191 bytes; what the threads themselves
 *		note of them counts as live
 *
 * Every page is written.  The threads do not end, so their caches are not flushed.  Then either the
 * subject is asked to give memory back and one second passes, or ten seconds pass without any call
 * or any thread that wakes.  Prints the live memory, then cgroup charge and RSS at the beginning,
 * at the peak and at the end, all in KiB.  Such processes sleep at the same time, but take turns
 * before that.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "harness/memory.h"
#include "harness/proc.h"
#include "harness/random.h"
#include "harness/subject.h"
#include "vmap/areas.h"

#define MIB(n)	      ((size_t)(n) << 20)
#define ORDERS_NR     4u
#define AREA_BYTES    MIB(4)
#define TAKERS_MAX    16u
#define BLOCKS_MAX    (MIB(300) / 16 / 1200) /* of objects; pages and areas are larger */
#define OBJECT_SIZES  1024u
#define ASKED_WAIT_MS 1000u
#define IDLE_WAIT_MS  10000u

struct plan {
	const char *name;
	unsigned takers_nr;
	size_t taker_bytes;
	size_t live_bytes;
	unsigned codes_nr; /* a block's code is its order, or the index of its size */
	void *(*take)(const struct subject *subject, unsigned code);
	void (*give)(const struct subject *subject, void *block, unsigned code);
	size_t (*bytes)(unsigned code);
};

static void *page_take(const struct subject *subject, unsigned code)
{
	return subject->page_alloc(code);
}

static void page_give(const struct subject *subject, void *block, unsigned code)
{
	subject->page_free(block, code);
}

static size_t page_bytes(unsigned code)
{
	return AREA_PAGE << code;
}

static void *area_take(const struct subject *subject, unsigned code)
{
	return subject->alloc(area_sizes[code]);
}

static void area_give(const struct subject *subject, void *block, unsigned code)
{
	subject->free(block, area_sizes[code]);
}

static size_t area_bytes(unsigned code)
{
	return area_sizes[code];
}

/* Sizes of objects by code: each doubling from 16 bytes to 8 KiB as often as another. */
static size_t object_bytes(unsigned code)
{
	size_t least = (size_t)16 << code % 9;

	return least + least * (code / 9) / (OBJECT_SIZES / 9 + 1);
}

static void *object_take(const struct subject *subject, unsigned code)
{
	return subject->alloc(object_bytes(code));
}

static void object_give(const struct subject *subject, void *block, unsigned code)
{
	subject->free(block, object_bytes(code));
}

static const struct plan plans[] = {
	{ "pages", 16, MIB(300) / 16, 0, ORDERS_NR, page_take, page_give, page_bytes },
	{ "areas", 4, MIB(64), MIB(32), AREA_SIZES, area_take, area_give, area_bytes },
	{ "objects", 16, MIB(300) / 16, 0, OBJECT_SIZES, object_take, object_give, object_bytes },
};

struct taker {
	const struct plan *plan;
	const struct subject *subject;
	uint64_t random;
	bool refused;
	size_t nr;
	void *blocks[BLOCKS_MAX];
	uint16_t codes[BLOCKS_MAX];
};

static struct taker takers[TAKERS_MAX];
static pthread_barrier_t gate;

static void taker_take(struct taker *taker)
{
	const struct plan *plan = taker->plan;

	for (size_t bytes = 0; bytes < plan->taker_bytes && taker->nr < BLOCKS_MAX;) {
		unsigned code = random_below(&taker->random, plan->codes_nr);
		char *block = plan->take(taker->subject, code);

		if (!block) {
			taker->refused = true;
			return;
		}
		area_touch(block, plan->bytes(code), 1);
		taker->blocks[taker->nr] = block;
		taker->codes[taker->nr++] = (uint16_t)code;
		bytes += plan->bytes(code);
	}
}

static void *taker_main(void *arg)
{
	struct taker *taker = arg;

	pthread_barrier_wait(&gate); /* all exist */
	taker_take(taker);
	pthread_barrier_wait(&gate); /* all taken */
	pthread_barrier_wait(&gate); /* the peak is read */
	while (taker->nr > 0) {
		taker->nr--;
		taker->plan->give(taker->subject, taker->blocks[taker->nr],
				  taker->codes[taker->nr]);
	}
	pthread_barrier_wait(&gate); /* all given back */
	pthread_barrier_wait(&gate); /* never: the main thread ends the process */
	return NULL;
}

static bool takers_start(const struct subject *subject, const struct plan *plan)
{
	pthread_barrier_init(&gate, NULL, plan->takers_nr + 1);
	for (unsigned i = 0; i < plan->takers_nr; i++) {
		pthread_t thread;

		takers[i].plan = plan;
		takers[i].subject = subject;
		takers[i].random = i + 1;
		if (pthread_create(&thread, NULL, taker_main, &takers[i]) != 0)
			return false;
	}
	return true;
}

/* False if an allocation was refused. */
static bool take_all(const struct subject *subject, const struct plan *plan)
{
	char *live;

	pthread_barrier_wait(&gate);
	live = plan->live_bytes == 0 ? NULL : subject->alloc(plan->live_bytes);
	if (live)
		area_touch(live, plan->live_bytes, 1);
	pthread_barrier_wait(&gate);
	for (unsigned i = 0; i < plan->takers_nr; i++)
		if (takers[i].refused)
			return false;
	return live || plan->live_bytes == 0;
}

/* The memory that the takers' arrays take. */
static size_t noted_bytes(const struct plan *plan)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < plan->takers_nr; i++)
		bytes += takers[i].nr * (sizeof(takers[i].blocks[0]) + sizeof(takers[i].codes[0]));
	return bytes;
}

static int release_run(const struct subject *subject, const struct plan *plan, char **arguments)
{
	bool ask = strcmp(arguments[1], "ask") == 0;
	struct memory memory[3];
	size_t live_bytes;
	int turn = turn_take(arguments[2]);

	if (ask && !subject->release)
		return puts("refused it cannot be asked"), 0;
	area_sizes_make(AREA_BYTES);
	if (!takers_start(subject, plan))
		return puts("refused a thread cannot be made"), 0;
	memory[0] = memory_now(arguments[3]);
	if (!take_all(subject, plan))
		return puts("refused an allocation was refused"), 0;
	memory[1] = memory_now(arguments[3]);
	live_bytes = plan->live_bytes + (plan->take == object_take ? noted_bytes(plan) : 0);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	if (ask)
		subject->release();
	turn_end(turn);
	proc_sleep_ms(ask ? ASKED_WAIT_MS : IDLE_WAIT_MS);
	memory[2] = memory_now(arguments[3]);
	printf("ok %zu", live_bytes / 1024);
	memory_print(memory, 3);
	return 0;
}

int release_child(const struct subject *subject, char **arguments)
{
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		if (strcmp(arguments[0], plans[i].name) != 0)
			continue;
		if (plans[i].take == page_take && subject->order_max < ORDERS_NR - 1)
			return puts("refused its orders are not offered"), 0;
		return release_run(subject, &plans[i], arguments);
	}
	return puts("refused not pages, areas or objects"), 0;
}
