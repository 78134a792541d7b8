/* SPDX-License-Identifier: MIT */
/*
 * log_shipper.c - a log from many threads to one file descriptor, through a mirrored ring: docs/examples.md
 *
 * The ring's pages are mapped twice, side by side.  So what begins near the end of the first mapping goes on in the
 * second one, and neither a line that is put nor a chunk that is shipped is ever in two pieces.
 *
 * begin and end count bytes since the ring was opened, and never wrap around in practice; what is between them is
 * the shipper's, the rest the writers'.  The shipper needs the mutex only to move begin: it writes to the
 * descriptor, which may take long, while threads go on to put lines.
 *
 * Functions return 0 or a negative errno.
 */
#include <errno.h>
#include <pthread.h>
#include <quire/page.h>
#include <quire/vmap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RING_PAGES 16u

struct ring {
	struct quire *q;
	void *pages[2 * RING_PAGES]; /* the second half is the first one again */
	char *memory;
	size_t bytes;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t has_room, has_lines;
	uint64_t begin, end;
	bool is_closed;
	int error; /* why nothing can be shipped any more */
};

/* After a failure nothing is left of it. */
static int ring_open(struct ring *ring, struct quire *q)
{
	int error;

	*ring = (struct ring){
		.q = q,
		.bytes = RING_PAGES * quire_page_bytes(q),
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.has_room = PTHREAD_COND_INITIALIZER,
		.has_lines = PTHREAD_COND_INITIALIZER,
	};
	if (quire_alloc_pages_bulk(q, ring->pages, RING_PAGES, 0) == RING_PAGES) {
		memcpy(ring->pages + RING_PAGES, ring->pages, sizeof(ring->pages) / 2);
		ring->memory = quire_vmap(q, ring->pages, 2 * (size_t)RING_PAGES, 0);
	}
	if (ring->memory != NULL)
		return 0;
	error = -errno;
	quire_free_pages_bulk(q, ring->pages, RING_PAGES);
	return error;
}

/* No thread uses it any more. */
static void ring_free(struct ring *ring)
{
	quire_vunmap(ring->q, ring->memory);
	quire_free_pages_bulk(ring->q, ring->pages, RING_PAGES);
	pthread_cond_destroy(&ring->has_lines);
	pthread_cond_destroy(&ring->has_room);
	pthread_mutex_destroy(&ring->mutex);
}

/* Waits while the ring is full.  Fails with -EMSGSIZE, or because nothing can be shipped any more. */
static int ring_put(struct ring *ring, const char *line, size_t bytes)
{
	int error;

	if (bytes > ring->bytes)
		return -EMSGSIZE;
	pthread_mutex_lock(&ring->mutex);
	while (ring->error == 0 && ring->bytes - (ring->end - ring->begin) < bytes)
		pthread_cond_wait(&ring->has_room, &ring->mutex);
	error = ring->error;
	if (error == 0) {
		memcpy(ring->memory + ring->end % ring->bytes, line, bytes);
		ring->end += bytes;
		pthread_cond_signal(&ring->has_lines);
	}
	pthread_mutex_unlock(&ring->mutex);
	return error;
}

/* Nothing is put any more: ring_ship() returns when it has shipped what there is. */
static void ring_close(struct ring *ring)
{
	pthread_mutex_lock(&ring->mutex);
	ring->is_closed = true;
	pthread_cond_signal(&ring->has_lines);
	pthread_mutex_unlock(&ring->mutex);
}

/* Ships until the ring is closed and empty.  The writers are told of a failure, too. */
static int ring_ship(struct ring *ring, int to)
{
	pthread_mutex_lock(&ring->mutex);
	for (;;) {
		const char *chunk = ring->memory + ring->begin % ring->bytes;
		size_t bytes = (size_t)(ring->end - ring->begin);
		ssize_t put;
		int error;

		if (bytes == 0 && !ring->is_closed) {
			pthread_cond_wait(&ring->has_lines, &ring->mutex);
			continue;
		}
		if (bytes == 0 || ring->error != 0)
			break;
		pthread_mutex_unlock(&ring->mutex);
		put = write(to, chunk, bytes);
		error = put < 0 && errno != EINTR ? -errno : 0;
		pthread_mutex_lock(&ring->mutex);
		ring->error = error;
		ring->begin += put > 0 ? (size_t)put : 0;
		pthread_cond_broadcast(&ring->has_room);
	}
	pthread_mutex_unlock(&ring->mutex);
	return ring->error;
}

/* ---- a program that logs ---- */

#define THREADS_NR 4u
#define LINES_NR   10000u /* of each thread */
#define LINE_BYTES 128u

struct writer {
	struct ring *ring;
	pthread_t thread;
	unsigned number;
};

struct shipper {
	struct ring *ring;
	pthread_t thread;
	int to;
};

/* Returns its length.  Lines are of many lengths, so they end anywhere in the ring. */
static size_t make_line(char *line, unsigned thread, unsigned number)
{
	return (size_t)snprintf(line, LINE_BYTES, "%u %u%*s.\n", thread, number, (int)(number % 60),
				"");
}

static void *write_lines(void *arg)
{
	struct writer *writer = arg;
	char line[LINE_BYTES];
	int error = 0;

	for (unsigned i = 0; i < LINES_NR && error == 0; i++)
		error = ring_put(writer->ring, line, make_line(line, writer->number, i));
	if (error != 0)
		fprintf(stderr, "log_shipper: lines are lost: %s\n", strerror(-error));
	return NULL;
}

static void *ship(void *arg)
{
	struct shipper *shipper = arg;
	int error = ring_ship(shipper->ring, shipper->to);

	if (error != 0)
		fprintf(stderr, "log_shipper: cannot ship: %s\n", strerror(-error));
	return NULL;
}

/* Lines that arrived whole, after all earlier lines of their thread. */
static unsigned count_in_order(FILE *file)
{
	unsigned next[THREADS_NR] = { 0 }, thread, right = 0;
	char line[LINE_BYTES], wanted[LINE_BYTES];

	rewind(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%u", &thread) != 1 || thread >= THREADS_NR)
			break;
		make_line(wanted, thread, next[thread]++);
		if (strcmp(line, wanted) != 0)
			break;
		right++;
	}
	return right;
}

static int log_through(struct ring *ring, FILE *file)
{
	struct shipper shipper = { .ring = ring, .to = fileno(file) };
	struct writer writer[THREADS_NR];
	unsigned started = 0;
	int error = pthread_create(&shipper.thread, NULL, ship, &shipper);

	if (error != 0)
		return -error;
	for (; started < THREADS_NR && error == 0; started += error == 0) {
		writer[started] = (struct writer){ .ring = ring, .number = started };
		error = pthread_create(&writer[started].thread, NULL, write_lines,
				       &writer[started]);
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(writer[i].thread, NULL);
	ring_close(ring);
	pthread_join(shipper.thread, NULL);
	return -error;
}

static int run(struct quire *q, FILE *file)
{
	struct ring ring;
	int error = ring_open(&ring, q);

	if (error != 0)
		return error;
	error = log_through(&ring, file);
	ring_free(&ring);
	return error;
}

int main(void)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.backing = QUIRE_BACKING_MEMFD);
	FILE *file = tmpfile();
	struct quire *q = NULL;
	int error = file != NULL ? quire_create(&options, &q) : -errno;
	unsigned in_order = 0;

	if (error == 0)
		error = run(q, file);
	if (error == 0) {
		in_order = count_in_order(file);
		printf("%u of %u lines shipped whole and in order\n", in_order,
		       THREADS_NR * LINES_NR);
	} else {
		fprintf(stderr, "log_shipper: %s\n", strerror(-error));
	}
	quire_destroy(q);
	if (file != NULL)
		fclose(file);
	return in_order == THREADS_NR * LINES_NR ? 0 : 1;
}
