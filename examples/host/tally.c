/* SPDX-License-Identifier: MIT */
/* tally.c - a module that counts how often each line comes, in objects of a cache of its own */
#include <errno.h>
#include <pthread.h>
#include <quire/slab.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include "module.h"

struct tally {
	LIST_ENTRY(tally) next;
	int64_t count;
	char line[64]; /* lines that begin alike up to here count as one */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, tally) tallies = LIST_HEAD_INITIALIZER(tallies);
static struct quire_cache *cache;
static int64_t missed; /* for lack of memory */

static int start(struct quire *q)
{
	/* Of its own, so that quire_cache_destroy() knows whether this module's objects are all free. */
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "tally", .size = sizeof(struct tally),
					 .flags = QUIRE_CACHE_ZERO | QUIRE_CACHE_OWN);

	return quire_cache_create(q, &options, &cache);
}

static struct tally *find_locked(const char *line)
{
	struct tally *tally;

	LIST_FOREACH(tally, &tallies, next)
	{
		if (strncmp(tally->line, line, sizeof(tally->line) - 1) == 0)
			return tally;
	}
	return NULL;
}

static void take(const char *line)
{
	struct tally *tally;

	pthread_mutex_lock(&mutex);
	tally = find_locked(line);
	if (tally == NULL) {
		tally = quire_cache_alloc(cache, 0);
		if (tally != NULL) {
			snprintf(tally->line, sizeof(tally->line), "%s", line);
			LIST_INSERT_HEAD(&tallies, tally, next);
		}
	}
	if (tally != NULL)
		tally->count++;
	else
		missed++;
	pthread_mutex_unlock(&mutex);
}

static int64_t stop(void)
{
	struct tally *tally;
	int64_t lines = 0;
	int error;

	while ((tally = LIST_FIRST(&tallies)) != NULL) {
		lines += tally->count;
		LIST_REMOVE(tally, next);
		quire_cache_free(cache, tally);
	}
	error = quire_cache_destroy(cache);
	if (error == 0 && missed != 0)
		error = -ENOMEM;
	return error != 0 ? error : lines;
}

const struct module host_module = {
	.version = MODULE_VERSION,
	.start = start,
	.take = take,
	.stop = stop,
};
