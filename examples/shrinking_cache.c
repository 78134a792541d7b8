/* SPDX-License-Identifier: MIT */
/*
 * shrinking_cache.c - a cache of values that are costly to make, in whatever memory is left: docs/examples.md
 *
 * The cache has no size of its own.  It grows until the instance would refuse something; then its shrinker evicts
 * the values that were not used for the longest time, whoever asked, the cache itself included.
 *
 * The mutex guards the lists and what is on them.  Nothing is allocated under it, so the shrinker, which runs in the
 * middle of an allocation, may wait for it.
 */
#include <errno.h>
#include <pthread.h>
#include <quire/slab.h>
#include <quire/vmap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS_NR 16384u

struct entry {
	uint64_t key;
	size_t bytes;
	char *value;
	LIST_ENTRY(entry) same;	  /* of one bucket */
	TAILQ_ENTRY(entry) order; /* by last use */
};

LIST_HEAD(bucket, entry);

struct cache {
	struct quire *q;
	struct quire_cache *entries;
	uint64_t shrinker;
	pthread_mutex_t mutex;
	struct bucket *bucket; /* BUCKETS_NR of them, by key % BUCKETS_NR */
	TAILQ_HEAD(, entry) oldest_first;
	uint64_t entries_nr, evicted_nr;
};

static struct entry *find(struct cache *cache, uint64_t key)
{
	struct entry *entry;

	LIST_FOREACH(entry, &cache->bucket[key % BUCKETS_NR], same)
	{
		if (entry->key == key)
			return entry;
	}
	return NULL;
}

static void entry_free(struct cache *cache, struct entry *entry)
{
	if (entry != NULL)
		quire_kvfree(cache->q, entry->value);
	quire_cache_free(cache->entries, entry);
}

static void entry_remove(struct cache *cache, struct entry *entry)
{
	LIST_REMOVE(entry, same);
	TAILQ_REMOVE(&cache->oldest_first, entry, order);
	cache->entries_nr--;
	entry_free(cache, entry);
}

/* The shrinker. */
static size_t cache_shrink(size_t bytes, void *arg)
{
	struct cache *cache = arg;
	struct entry *entry;
	size_t freed = 0;

	pthread_mutex_lock(&cache->mutex);
	while (freed < bytes && (entry = TAILQ_FIRST(&cache->oldest_first)) != NULL) {
		freed += entry->bytes;
		cache->evicted_nr++;
		entry_remove(cache, entry);
	}
	pthread_mutex_unlock(&cache->mutex);
	return freed;
}

/* 0, or a negative errno, and then nothing is left of it. */
static int cache_open(struct cache *cache, struct quire *q)
{
	const struct quire_cache_options entries =
		QUIRE_CACHE_OPTIONS_INIT(.name = "entry", .size = sizeof(struct entry),
					 .flags = QUIRE_CACHE_RECLAIMABLE);
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "values", .cost = 100, .scan = cache_shrink,
				    .arg = cache);
	int error;

	*cache = (struct cache){
		.q = q,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.bucket = quire_vzalloc(q, BUCKETS_NR * sizeof(struct bucket), 0),
	};
	if (cache->bucket == NULL)
		return -errno;
	TAILQ_INIT(&cache->oldest_first);
	error = quire_cache_create(q, &entries, &cache->entries);
	if (error == 0)
		error = quire_shrinker_register(q, &shrinker, &cache->shrinker);
	if (error != 0) {
		(void)quire_cache_destroy(cache->entries); /* it has no object yet */
		quire_vfree(q, cache->bucket);
	}
	return error;
}

/* No thread uses it any more. */
static int cache_close(struct cache *cache)
{
	quire_shrinker_unregister(cache->q, cache->shrinker);
	while (!TAILQ_EMPTY(&cache->oldest_first))
		entry_remove(cache, TAILQ_FIRST(&cache->oldest_first));
	quire_vfree(cache->q, cache->bucket);
	pthread_mutex_destroy(&cache->mutex);
	return quire_cache_destroy(cache->entries);
}

/* A copy of the value, since it may be evicted at any time.  Returns its size; 0 if it is not there, or longer than
 * @bytes. */
static size_t cache_get(struct cache *cache, uint64_t key, char *value, size_t bytes)
{
	struct entry *entry;
	size_t got = 0;

	pthread_mutex_lock(&cache->mutex);
	entry = find(cache, key);
	if (entry != NULL && entry->bytes <= bytes) {
		TAILQ_REMOVE(&cache->oldest_first, entry, order);
		TAILQ_INSERT_TAIL(&cache->oldest_first, entry, order);
		got = entry->bytes;
		memcpy(value, entry->value, got);
	}
	pthread_mutex_unlock(&cache->mutex);
	return got;
}

/* Keeps a copy.  0, or -ENOMEM if there is too little memory even with nothing else in the cache: the caller has the
 * value, and can go on. */
static int cache_put(struct cache *cache, uint64_t key, const char *value, size_t bytes)
{
	struct entry *entry = quire_cache_alloc(cache->entries, QUIRE_ZERO), *old;

	if (entry != NULL)
		entry->value = quire_kvmalloc(cache->q, bytes, QUIRE_RECLAIMABLE);
	if (entry == NULL || entry->value == NULL) {
		entry_free(cache, entry);
		return -ENOMEM;
	}
	entry->key = key;
	entry->bytes = bytes;
	memcpy(entry->value, value, bytes);
	pthread_mutex_lock(&cache->mutex);
	old = find(cache, key);
	if (old != NULL)
		entry_remove(cache, old);
	LIST_INSERT_HEAD(&cache->bucket[key % BUCKETS_NR], entry, same);
	TAILQ_INSERT_TAIL(&cache->oldest_first, entry, order);
	cache->entries_nr++;
	pthread_mutex_unlock(&cache->mutex);
	return 0;
}

/* ---- a program that uses it ---- */

#define LIMIT_BYTES ((size_t)16 << 20)
#define VALUES_NR   4000u
#define VALUE_BYTES 16384u
#define WORK_BYTES  ((size_t)8 << 20)

static size_t make_value(uint64_t key, char *value)
{
	size_t bytes = VALUE_BYTES / 2 + (size_t)(key * 37 % (VALUE_BYTES / 2));

	memset(value, 'a' + (int)(key % 26), bytes);
	return bytes;
}

/* Makes values, puts them, and uses some of them again.  Returns how many were refused or came back wrong. */
static unsigned use(struct cache *cache)
{
	static char made[VALUE_BYTES], got[VALUE_BYTES];
	unsigned wrong = 0;

	for (uint64_t key = 0; key < VALUES_NR; key++) {
		uint64_t again = key - key % 10; /* one of the last ten, and so used often */
		size_t bytes = make_value(key, made);

		if (cache_put(cache, key, made, bytes) != 0) {
			fputs("shrinking_cache: a value is not kept: no memory\n", stderr);
			wrong++;
			continue;
		}
		bytes = make_value(again, made);
		wrong += cache_get(cache, again, got, sizeof(got)) != bytes ||
			 memcmp(made, got, bytes) != 0;
	}
	return wrong;
}

/* Memory for something else, while the cache has all there is.  0, or -1 if it was refused. */
static int work(struct cache *cache)
{
	static char newest[VALUE_BYTES];
	void *memory = quire_vmalloc(cache->q, WORK_BYTES, 0);

	if (memory == NULL) {
		perror("shrinking_cache: no memory for other work");
		return -1;
	}
	printf("%zu MiB for other work; the newest value is %s\n", WORK_BYTES >> 20,
	       cache_get(cache, VALUES_NR - 1, newest, sizeof(newest)) != 0 ? "still there"
									    : "gone");
	quire_vfree(cache->q, memory);
	return 0;
}

int main(void)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = LIMIT_BYTES);
	struct cache cache;
	struct quire *q;
	unsigned wrong;
	int error;

	error = quire_create(&options, &q);
	if (error == 0)
		error = cache_open(&cache, q);
	if (error != 0) {
		fprintf(stderr, "shrinking_cache: cannot begin: %s\n", strerror(-error));
		return 1;
	}
	wrong = use(&cache);
	printf("%u values put in %zu MiB, %u refused or wrong\n", VALUES_NR, LIMIT_BYTES >> 20,
	       wrong);
	error = work(&cache);
	if (cache_close(&cache) != 0) {
		fputs("shrinking_cache: an entry was never freed\n", stderr);
		return 1;
	}
	printf("%llu values evicted in all\n", (unsigned long long)cache.evicted_nr);
	quire_destroy(q);
	return error == 0 && wrong == 0 ? 0 : 1;
}
