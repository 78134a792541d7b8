/* SPDX-License-Identifier: MIT */
/* shape.c - see shape.h; the command that runs one shape */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "harness/proc.h"
#include "malloc/command.h"
#include "malloc/stress/shape.h"

#define THREADS_MAX 64u
#define SPINS_NR    100u /* before the CPU is left to the other thread */

static const struct shape shapes[] = {
	{ "larson", shape_larson },   { "producer", shape_producer },
	{ "small", shape_small },     { "scratch", shape_scratch },
	{ "thrash", shape_thrash },   { "exchange", shape_exchange },
	{ "ladder", shape_ladder },   { "sizes", shape_sizes },
	{ "threads", shape_threads }, { "queue", shape_queue },
	{ "tree", shape_tree },	      { "strings", shape_strings },
};

_Noreturn void shape_refuse(const char *why)
{
	char line[128];
	int bytes = snprintf(line, sizeof(line), "refused %s\n", why);

	_exit(write(STDOUT_FILENO, line, (size_t)bytes) == bytes ? 0 : 1);
}

void shape_start(unsigned nr, void *(*main)(void *index))
{
	pthread_t threads[THREADS_MAX];

	for (uintptr_t i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, main, (void *)i) != 0)
			shape_refuse("a thread cannot be made");
	for (unsigned i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
}

static void shape_pause(unsigned *spins)
{
	if (++*spins % SPINS_NR == 0)
		sched_yield();
	else
		spin_pause();
}

void shape_put(struct shape_queue *queue, void *object)
{
	unsigned spins = 0;

	while (queue->put_nr - __atomic_load_n(&queue->taken_nr, __ATOMIC_ACQUIRE) == SHAPE_SLOTS)
		shape_pause(&spins);
	queue->slots[queue->put_nr % SHAPE_SLOTS] = object;
	__atomic_store_n(&queue->put_nr, queue->put_nr + 1, __ATOMIC_RELEASE);
}

void *shape_take(struct shape_queue *queue)
{
	unsigned spins = 0;
	void *object;

	while (__atomic_load_n(&queue->put_nr, __ATOMIC_ACQUIRE) == queue->taken_nr)
		shape_pause(&spins);
	object = queue->slots[queue->taken_nr % SHAPE_SLOTS];
	__atomic_store_n(&queue->taken_nr, queue->taken_nr + 1, __ATOMIC_RELEASE);
	return object;
}

int malloc_stress(const struct subject *subject, char **arguments)
{
	uint64_t wall = proc_clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	(void)subject;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (strcmp(arguments[0], shapes[i].name) != 0)
			continue;
		shapes[i].run();
		wall = proc_clock_ns(CLOCK_MONOTONIC) - wall;
		cpu = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		printf("ok %.3f %.3f %llu\n", (double)wall / 1e6, (double)cpu / 1e6,
		       (unsigned long long)proc_peak_rss_kib());
		return 0;
	}
	return puts("refused a shape"), 0;
}
