/* SPDX-License-Identifier: MIT */
/* A per-CPU object is freed twice: the hook sees its address. */
#include <quire/percpu.h>

#include "hook_say.h"

static void hook(const struct quire_stop *stop, void *arg)
{
	say(stop->address == arg && strcmp(stop->rule, "double free") == 0
		    ? "hook: the object\n"
		    : "hook: something else\n");
}

int main(void)
{
	struct quire *q = quire_default();
	void *object = quire_alloc_percpu(q, 64, 0, 0);

	quire_set_stop_hook(hook, object, NULL);
	quire_free_percpu(q, object);
	quire_free_percpu(q, object);
	return 0;
}
