/* SPDX-License-Identifier: MIT */
/*
 * watched.c - a program as a user writes it, for tests/start/watched: built with a sanitizer or run by
 * valgrind, against a library that knows nothing of either
 *
 * watched MODE: with "pass", "keep" and "use" nothing is wrong; each other mode makes one mistake.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <quire/vmap.h>

#define ROUNDS 2000

static struct quire *q;
static void *volatile lost;
static char *shared;

/* Takes, writes and frees memory of each kind; another thread is handed the same addresses. */
static void *pass(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		unsigned order = (unsigned)i % 3;
		char *page = quire_alloc_pages(q, order, i % 2 ? QUIRE_ZERO : 0);
		char *area = quire_vmalloc(q, 20000, 0);
		long *object = quire_alloc_percpu(q, i % 2 ? 64 : 24, 8, 0);
		void *bulk[8] = { NULL };

		if (page == NULL || area == NULL || object == NULL ||
		    quire_alloc_pages_bulk(q, bulk, 8, 0) != 8)
			exit(3);
		memset(page, i, (size_t)4096 << order);
		area = quire_vrealloc(q, area, i % 2 ? 50000 : 9000, 0);
		memset(area, i, 9000);
		object[2] = i;
		memset(bulk[i % 8], i, 4096);
		quire_free_pages_bulk(q, bulk, 8);
		quire_free_percpu(q, object);
		quire_vfree(q, area);
		quire_free_pages(q, page, order);
	}
	return arg;
}

/* What only memory of ours points to is no leak. */
static void keep(void)
{
	void **page = quire_alloc_pages(q, 0, 0);
	void **area = quire_vmalloc(q, 100000, 0);
	void **object = quire_alloc_percpu(q, 64, 8, 0);

	page[100] = malloc(100);
	area[5000] = malloc(200);
	object[1] = malloc(300);
	page[0] = area;
	page[1] = object;
	lost = page;
}

static void *write_shared(void *arg)
{
	shared[10] = 1;
	return arg;
}

static void two_threads(void *(*first)(void *), void *(*second)(void *))
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, first, NULL);
	pthread_create(&threads[1], NULL, second, NULL);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}

static int use_freed(const char *mode)
{
	char *page = quire_alloc_pages(q, 1, 0), *area = quire_vmalloc(q, 9000, 0);
	char *object = quire_alloc_percpu(q, 64, 8, 0);
	int sum;

	memset(page, 1, 8192);
	memset(area, 1, 9000);
	quire_free_pages(q, page, 1);
	quire_vfree(q, area);
	quire_free_percpu(q, object);
	if (strcmp(mode, "freed-page") == 0)
		sum = ((volatile char *)page)[5000];
	else if (strcmp(mode, "freed-area") == 0)
		sum = ((volatile char *)area)[8000];
	else
		sum = ((volatile char *)object)[63];
	return sum & 128;
}

static int read_unwritten(void)
{
	volatile char *page = quire_alloc_pages(q, 0, 0);

	memset((char *)page, 1, 4096);
	quire_free_pages(q, (char *)page, 0);
	page = quire_alloc_pages(q, 0, 0);
	if (page[7] != 0)
		puts("written");
	quire_free_pages(q, (char *)page, 0);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	q = quire_default();
	if (q == NULL)
		return 2;
	if (strcmp(mode, "pass") == 0)
		two_threads(pass, pass);
	else if (strcmp(mode, "keep") == 0)
		keep();
	else if (strcmp(mode, "use") == 0)
		pass(NULL);
	else if (strcmp(mode, "leak") == 0)
		lost = malloc(100), lost = NULL;
	else if (strcmp(mode, "race") == 0)
		shared = quire_alloc_pages(q, 0, 0), two_threads(write_shared, write_shared);
	else if (strncmp(mode, "freed-", 6) == 0)
		return use_freed(mode);
	else if (strcmp(mode, "unwritten") == 0)
		return read_unwritten();
	else
		return 2;
	return 0;
}
