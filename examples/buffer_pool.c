/* SPDX-License-Identifier: MIT */
/*
 * buffer_pool.c - the buffer pool of a database: docs/examples.md
 *
 * Words
 *   page    a piece of the file, as large as a page of the instance; its number is its place there
 *   frame   a place in memory for one page.  It has memory, or it is empty
 *   pinned  in use by somebody, so neither evicted nor moved
 *   clock   walks the frames, and evicts one that nobody has pinned since its last time around
 *
 * The mutex guards the whole pool, and is held while the file is read and written.  Under it memory is asked for
 * with QUIRE_NORETRY alone, which calls no shrinker, so the shrinker may wait for the mutex.
 *
 * Functions return 0 or a negative errno, or a pointer that is NULL with errno set.
 */
#include <errno.h>
#include <pthread.h>
#include <quire/page.h>
#include <quire/vmap.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct frame {
	char *memory; /* NULL: empty */
	size_t page;
	unsigned pins;
	bool is_dirty;	    /* the file has something older */
	bool is_recent;	    /* pinned since the clock was here */
	struct frame *next; /* with the same hash, or the next empty one */
};

struct pool {
	struct quire *q;
	pthread_mutex_t mutex;
	int file;
	size_t page_bytes, frames_nr, hand;
	struct frame *frame;
	struct frame **bucket; /* frames_nr of them, by page % frames_nr */
	struct frame *empty;
	uint64_t shrinker;
};

static struct frame **bucket_of(struct pool *pool, size_t page)
{
	return &pool->bucket[page % pool->frames_nr];
}

static struct frame *frame_find(struct pool *pool, size_t page)
{
	struct frame *frame = *bucket_of(pool, page);

	while (frame != NULL && frame->page != page)
		frame = frame->next;
	return frame;
}

static void frame_forget(struct pool *pool, struct frame *frame)
{
	struct frame **at = bucket_of(pool, frame->page);

	while (*at != frame)
		at = &(*at)->next;
	*at = frame->next;
}

static void frame_make_empty(struct pool *pool, struct frame *frame)
{
	quire_free_pages(pool->q, frame->memory, 0);
	frame->memory = NULL;
	frame->next = pool->empty;
	pool->empty = frame;
}

/* A file that ends early reads as zeroes, as a page that was never written should. */
static int frame_read(const struct pool *pool, struct frame *frame)
{
	size_t done = 0;

	while (done < pool->page_bytes) {
		ssize_t got = pread(pool->file, frame->memory + done, pool->page_bytes - done,
				    (off_t)(frame->page * pool->page_bytes + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	memset(frame->memory + done, 0, pool->page_bytes - done);
	return 0;
}

static int frame_write(const struct pool *pool, struct frame *frame)
{
	size_t done = 0;

	while (frame->is_dirty && done < pool->page_bytes) {
		ssize_t put = pwrite(pool->file, frame->memory + done, pool->page_bytes - done,
				     (off_t)(frame->page * pool->page_bytes + done));

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0)
			done += (size_t)put;
	}
	frame->is_dirty = false;
	return 0;
}

/*
 * A frame that no page is in any more, with its memory; or NULL with errno EBUSY if all are pinned, else why the
 * file cannot be written.  The first time around the clock only finds out who is recent, so it goes around twice.
 */
static struct frame *frame_evict(struct pool *pool)
{
	int error = -EBUSY;

	for (size_t i = 0; i < 2 * pool->frames_nr; i++) {
		struct frame *frame = &pool->frame[pool->hand];

		pool->hand = (pool->hand + 1) % pool->frames_nr;
		if (frame->memory == NULL || frame->pins > 0)
			continue;
		if (frame->is_recent) {
			frame->is_recent = false;
			continue;
		}
		error = frame_write(pool, frame);
		if (error != 0)
			continue;
		frame_forget(pool, frame);
		return frame;
	}
	errno = -error;
	return NULL;
}

/* A frame with memory.  The pool grows as long as the instance has memory, and then evicts. */
static struct frame *frame_take(struct pool *pool)
{
	struct frame *frame = pool->empty;

	if (frame == NULL)
		return frame_evict(pool);
	frame->memory = quire_alloc_pages(pool->q, 0, QUIRE_RECLAIMABLE | QUIRE_NORETRY);
	if (frame->memory == NULL)
		return frame_evict(pool);
	pool->empty = frame->next;
	return frame;
}

static struct frame *frame_load(struct pool *pool, size_t page)
{
	struct frame *frame = frame_take(pool);
	struct frame **bucket = bucket_of(pool, page);
	int error;

	if (frame == NULL)
		return NULL;
	*frame = (struct frame){ .memory = frame->memory, .page = page };
	error = frame_read(pool, frame);
	if (error != 0) {
		frame_make_empty(pool, frame);
		errno = -error;
		return NULL;
	}
	frame->next = *bucket;
	*bucket = frame;
	return frame;
}

/* The page's content, which stays where it is until pool_unpin(); or NULL with errno. */
static char *pool_pin(struct pool *pool, size_t page)
{
	struct frame *frame;
	char *memory = NULL;

	pthread_mutex_lock(&pool->mutex);
	frame = frame_find(pool, page);
	if (frame == NULL)
		frame = frame_load(pool, page);
	if (frame != NULL) {
		frame->pins++;
		frame->is_recent = true;
		memory = frame->memory;
	}
	pthread_mutex_unlock(&pool->mutex);
	return memory;
}

static void pool_unpin(struct pool *pool, size_t page, bool is_changed)
{
	struct frame *frame;

	pthread_mutex_lock(&pool->mutex);
	frame = frame_find(pool, page); /* there, since it is pinned */
	frame->pins--;
	frame->is_dirty |= is_changed;
	pthread_mutex_unlock(&pool->mutex);
}

/* The shrinker: somebody else needs the memory. */
static size_t pool_give_back(size_t bytes, void *arg)
{
	struct pool *pool = arg;
	struct frame *frame;
	size_t given = 0;

	pthread_mutex_lock(&pool->mutex);
	while (given < bytes && (frame = frame_evict(pool)) != NULL) {
		frame_make_empty(pool, frame);
		given += pool->page_bytes;
	}
	pthread_mutex_unlock(&pool->mutex);
	return given;
}

/* After a failure nothing is left of it.  @file stays the caller's. */
static int pool_open(struct pool *pool, struct quire *q, int file, size_t frames_nr)
{
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "buffer pool", .cost = 10, .scan = pool_give_back,
				    .arg = pool);
	int error;

	*pool = (struct pool){
		.q = q,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.file = file,
		.page_bytes = quire_page_bytes(q),
		.frames_nr = frames_nr,
		.frame = quire_vzalloc(q, frames_nr * sizeof(*pool->frame), 0),
		.bucket = quire_vzalloc(q, frames_nr * sizeof(struct frame *), 0),
	};
	error = pool->frame != NULL && pool->bucket != NULL ? 0 : -ENOMEM;
	for (size_t i = frames_nr; error == 0 && i-- > 0;)
		frame_make_empty(pool, &pool->frame[i]);
	if (error == 0)
		error = quire_shrinker_register(q, &shrinker, &pool->shrinker);
	if (error != 0) {
		quire_vfree(q, pool->bucket);
		quire_vfree(q, pool->frame);
	}
	return error;
}

/* Nobody uses the pool any more.  The pool is gone even if something cannot be written. */
static int pool_close(struct pool *pool)
{
	int error = 0, failed = 0;

	quire_shrinker_unregister(pool->q, pool->shrinker);
	for (size_t i = 0; i < pool->frames_nr; i++) {
		struct frame *frame = &pool->frame[i];

		if (frame->memory != NULL)
			failed = frame_write(pool, frame);
		if (failed != 0)
			error = failed;
		quire_free_pages(pool->q, frame->memory, 0);
	}
	quire_vfree(pool->q, pool->bucket);
	quire_vfree(pool->q, pool->frame);
	pthread_mutex_destroy(&pool->mutex);
	return error;
}

/* ---- a database that uses it ---- */

#define LIMIT_BYTES ((size_t)8 << 20)
#define SORT_BYTES  ((size_t)4 << 20)
#define PAGES_NR    4096u

static int fill(struct pool *pool)
{
	for (size_t page = 0; page < PAGES_NR; page++) {
		char *memory = pool_pin(pool, page);

		if (memory == NULL)
			return -errno;
		snprintf(memory, pool->page_bytes, "page %zu", page);
		pool_unpin(pool, page, true);
	}
	return 0;
}

/* Pages that read back what was written, in an order in which few are still in memory. */
static size_t count_right(struct pool *pool)
{
	size_t right = 0;

	for (size_t i = 0; i < PAGES_NR; i++) {
		size_t page = i * 1021 % PAGES_NR;
		char *memory = pool_pin(pool, page), wanted[32];

		if (memory == NULL) {
			perror("buffer_pool: a page cannot be read");
			continue;
		}
		snprintf(wanted, sizeof(wanted), "page %zu", page);
		right += strcmp(memory, wanted) == 0;
		pool_unpin(pool, page, false);
	}
	return right;
}

/* Memory for something else, while the pool has all there is, and page 7 stays pinned. */
static int sort(struct pool *pool)
{
	const char *pinned = pool_pin(pool, 7);
	void *runs;
	int error;

	if (pinned == NULL)
		return -errno;
	runs = quire_vmalloc(pool->q, SORT_BYTES, 0);
	error = runs != NULL ? 0 : -errno;
	if (error == 0) {
		memset(runs, 0, SORT_BYTES);
		printf("a sort had %zu MiB of the pool's; meanwhile page 7, pinned, said \"%s\"\n",
		       SORT_BYTES >> 20, pinned);
		quire_vfree(pool->q, runs);
	}
	pool_unpin(pool, 7, false);
	return error;
}

static int use(struct pool *pool)
{
	int error = fill(pool);

	if (error == 0)
		error = sort(pool);
	if (error == 0)
		printf("%zu of %u pages read back, through %zu MiB of memory\n", count_right(pool),
		       PAGES_NR, LIMIT_BYTES >> 20);
	return error;
}

static int run(struct quire *q, int file)
{
	struct pool pool;
	int error = pool_open(&pool, q, file, PAGES_NR), close_error;

	if (error != 0)
		return error;
	error = use(&pool);
	close_error = pool_close(&pool);
	return error != 0 ? error : close_error;
}

int main(void)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = LIMIT_BYTES);
	FILE *file = tmpfile();
	struct quire *q = NULL;
	int error = file != NULL ? quire_create(&options, &q) : -errno;

	if (error == 0)
		error = run(q, fileno(file));
	if (error != 0)
		fprintf(stderr, "buffer_pool: %s\n", strerror(-error));
	quire_destroy(q);
	if (file != NULL)
		fclose(file);
	return error == 0 ? 0 : 1;
}
