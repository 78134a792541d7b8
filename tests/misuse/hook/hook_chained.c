/* SPDX-License-Identifier: MIT */
/* Two reporters of one program: the second calls the first, with the first one's argument. */
#include <quire/page.h>

#include "hook_say.h"

static quire_stop_fn old_hook;
static void *old_arg;

static void first(const struct quire_stop *stop, void *arg)
{
	say(strcmp(stop->rule, "double free") == 0 ? arg : "hook: another rule\n");
}

static void second(const struct quire_stop *stop, void *arg)
{
	say(arg);
	old_hook(stop, old_arg);
}

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	if (quire_set_stop_hook(first, "hook: the first\n", &old_arg) != NULL || old_arg != NULL)
		return 1;
	old_hook = quire_set_stop_hook(second, "hook: the second\n", &old_arg);
	quire_free_pages(q, page, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
