/* SPDX-License-Identifier: MIT */
/* The hook misuses the library in its turn, which it must not: that ends the process at once. */
#include <quire/page.h>

#include "hook_say.h"

static void hook(const struct quire_stop *stop, void *arg)
{
	(void)stop;
	say("hook: begins\n");
	quire_free_pages(arg, &arg, 0);
	say("hook: goes on\n");
}

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	quire_set_stop_hook(hook, q, NULL);
	quire_free_pages(q, page, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
