/* SPDX-License-Identifier: MIT */
/* Threads set one pair or the other all the time: each hook gets the argument that was set with it. */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include <quire/page.h>

#include "hook_say.h"

#define SETTERS_NR 2

static char first, second;

static void first_hook(const struct quire_stop *stop, void *arg)
{
	(void)stop;
	say(arg == &first ? "hook: a pair\n" : "hook: no pair\n");
}

static void second_hook(const struct quire_stop *stop, void *arg)
{
	(void)stop;
	say(arg == &second ? "hook: a pair\n" : "hook: no pair\n");
}

static void *set(void *arg)
{
	(void)arg;
	for (;;) {
		quire_set_stop_hook(first_hook, &first, NULL);
		quire_set_stop_hook(second_hook, &second, NULL);
	}
	return NULL;
}

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	const struct timespec nap = { 0, 2000000 };
	pthread_t thread;

	quire_set_stop_hook(first_hook, &first, NULL);
	for (int i = 0; i < SETTERS_NR; i++) {
		if (pthread_create(&thread, NULL, set, NULL) != 0)
			return 1;
	}
	nanosleep(&nap, NULL);
	quire_free_pages(q, page, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
