/* SPDX-License-Identifier: MIT */
/* A hook that was set, replaced and removed is not called. */
#include <quire/page.h>

#include "hook_say.h"

static void hook(const struct quire_stop *stop, void *arg)
{
	(void)stop;
	say(arg);
}

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	quire_set_stop_hook(hook, "hook: the first\n", NULL);
	quire_set_stop_hook(hook, "hook: the second\n", NULL);
	quire_set_stop_hook(NULL, NULL, NULL);
	quire_free_pages(q, page, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
