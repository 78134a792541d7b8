/* SPDX-License-Identifier: MIT */
/* While the hook runs, and waits, another thread misuses: no second hook. */
#include <pthread.h>

#include <quire/page.h>

#include "hook_say.h"

static int ends[2];

static void *other(void *arg)
{
	struct quire *q = arg;
	char begun;

	if (read(ends[0], &begun, 1) == 1)
		quire_free_pages(q, &begun, 0);
	return NULL;
}

static void hook(const struct quire_stop *stop, void *arg)
{
	(void)stop;
	(void)arg;
	say("hook: begins\n");
	(void)!write(ends[1], "", 1);
	sleep(20);
	say("hook: waited in vain\n");
}

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	pthread_t thread;

	if (pipe(ends) != 0 || pthread_create(&thread, NULL, other, q) != 0)
		return 1;
	quire_set_stop_hook(hook, NULL, NULL);
	quire_free_pages(q, page, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
