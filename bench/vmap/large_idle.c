/* SPDX-License-Identifier: MIT */
/*
 * large_idle.c - a process that gives large blocks back and sleeps
 *
 * half BYTES LOCK USAGE
 *	512 MiB of written blocks, every second one given back; then nothing at all.  Prints ns a free
 *	(-1: time was taken by others), then cgroup and RSS at the beginning, at the peak, after 1 s and
 *	after 10 s.
 * release BYTES ask|idle LOCK USAGE
 *	Four threads take 256 MiB of random sizes up to BYTES, written, give all of it back and stay;
 *	LIVE_BYTES more stay live.  Then the subject is asked to give memory back and a second passes,
 *	or ten seconds pass with nothing at all.  Prints the live memory, then cgroup and RSS at the
 *	beginning, at the peak and at the end.
 *
 * All in KiB.  USAGE is the memory cgroup's file, or "-" (then its figures are 0).  Processes that
 * sleep side by side take turns in the part before, by the lock on the file LOCK.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "vmap/large.h"
#include "harness/proc.h"
#include "harness/random.h"

#define HALF_BYTES    ((size_t)512 << 20)
#define HALF_BLOCKS   (HALF_BYTES / ((size_t)64 << 10)) /* of the smallest */
#define STOLEN_MAX    0.02
#define TAKERS_NR     4u
#define TAKER_BYTES   ((size_t)64 << 20)
#define TAKER_BLOCKS  1024u /* of 64 KiB */
#define LIVE_BYTES    ((size_t)32 << 20)
#define SHORT_WAIT_MS 1000u
#define LONG_WAIT_MS  10000u

struct memory {
	uint64_t usage_kib;
	uint64_t rss_kib;
};

static struct memory memory_now(const char *usage_path)
{
	uint64_t bytes = proc_file_number(usage_path);

	return (struct memory){ .usage_kib = bytes == UINT64_MAX ? 0 : bytes / 1024,
				.rss_kib = proc_rss_kib() };
}

static void memory_print(const struct memory *memory, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		printf(" %llu %llu", (unsigned long long)memory[i].usage_kib,
		       (unsigned long long)memory[i].rss_kib);
	puts("");
}

/* Waits for the turn; -1 if there is none to wait for.  Closing ends the turn. */
static int turn_take(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static void turn_end(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ns a free of every second of the blocks; -1 if others took time. */
static double half_free(const struct large_subject *subject, char **blocks, size_t nr, size_t bytes)
{
	struct span span;

	span_begin(&span, -1);
	for (size_t i = 0; i < nr; i += 2)
		subject->free(blocks[i], bytes);
	span_end(&span, -1);
	return span_stolen(&span) > STOLEN_MAX ? -1 : (double)span.wall_ns / (double)((nr + 1) / 2);
}

int large_half(const struct large_subject *subject, size_t bytes, char **files)
{
	static char *blocks[HALF_BLOCKS];
	size_t nr = bytes ? HALF_BYTES / bytes : 0;
	struct memory memory[4];
	int turn = turn_take(files[0]);
	double ns;

	if (nr == 0 || nr > HALF_BLOCKS)
		return puts("refused a block size"), 0;
	memory[0] = memory_now(files[1]);
	for (size_t i = 0; i < nr; i++) {
		blocks[i] = subject->alloc(bytes);
		if (!blocks[i])
			return puts("refused an allocation was refused"), 0;
		large_touch(blocks[i], bytes, 1);
	}
	memory[1] = memory_now(files[1]);
	ns = half_free(subject, blocks, nr, bytes);
	turn_end(turn);
	proc_sleep_ms(SHORT_WAIT_MS);
	memory[2] = memory_now(files[1]);
	proc_sleep_ms(LONG_WAIT_MS - SHORT_WAIT_MS);
	memory[3] = memory_now(files[1]);
	printf("ok %.2f", ns);
	memory_print(memory, 4);
	return 0;
}

struct taker {
	const struct large_subject *subject;
	uint64_t random;
	bool refused;
	unsigned nr;
	char *blocks[TAKER_BLOCKS];
	size_t sizes[TAKER_BLOCKS];
};

static struct taker takers[TAKERS_NR];
static pthread_barrier_t gate;

static void taker_take(struct taker *taker)
{
	size_t bytes = 0;

	while (bytes < TAKER_BYTES && taker->nr < TAKER_BLOCKS) {
		size_t size = large_sizes[random_below(&taker->random, LARGE_SIZES)];
		char *block = taker->subject->alloc(size);

		if (!block) {
			taker->refused = true;
			return;
		}
		large_touch(block, size, 1);
		taker->blocks[taker->nr] = block;
		taker->sizes[taker->nr++] = size;
		bytes += size;
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
		taker->subject->free(taker->blocks[taker->nr], taker->sizes[taker->nr]);
	}
	pthread_barrier_wait(&gate); /* all given back */
	pthread_barrier_wait(&gate); /* never: the main thread ends the process */
	return NULL;
}

static bool takers_start(const struct large_subject *subject)
{
	pthread_barrier_init(&gate, NULL, TAKERS_NR + 1);
	for (unsigned i = 0; i < TAKERS_NR; i++) {
		pthread_t thread;

		takers[i].subject = subject;
		takers[i].random = i + 1;
		if (pthread_create(&thread, NULL, taker_main, &takers[i]) != 0)
			return false;
	}
	return true;
}

int large_release(const struct large_subject *subject, bool ask, char **files)
{
	struct memory memory[3];
	int turn = turn_take(files[0]);
	char *live;

	if (ask && !subject->release)
		return puts("refused it cannot be asked"), 0;
	if (!takers_start(subject))
		return puts("refused a thread cannot be made"), 0;
	memory[0] = memory_now(files[1]);
	pthread_barrier_wait(&gate);
	live = subject->alloc(LIVE_BYTES);
	if (live)
		large_touch(live, LIVE_BYTES, 1);
	pthread_barrier_wait(&gate);
	memory[1] = memory_now(files[1]);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	for (unsigned i = 0; i < TAKERS_NR; i++)
		if (!live || takers[i].refused)
			return puts("refused an allocation was refused"), 0;
	if (ask)
		subject->release();
	turn_end(turn);
	proc_sleep_ms(ask ? SHORT_WAIT_MS : LONG_WAIT_MS);
	memory[2] = memory_now(files[1]);
	printf("ok %zu", LIVE_BYTES / 1024);
	memory_print(memory, 3);
	return 0;
}
