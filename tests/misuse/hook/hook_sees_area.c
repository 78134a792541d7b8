/* SPDX-License-Identifier: MIT */
/* An area is freed from inside: the hook sees which address it was. */
#include <quire/vmap.h>

#include "hook_say.h"

static void hook(const struct quire_stop *stop, void *arg)
{
	say(stop->address == arg && strcmp(stop->rule, "the middle of an area") == 0 &&
			    stop->detail_name == NULL
		    ? "hook: the area\n"
		    : "hook: something else\n");
}

int main(void)
{
	struct quire *q = quire_default();
	char *inside = (char *)quire_vmalloc(q, 65536, 0) + 4096;

	quire_set_stop_hook(hook, inside, NULL);
	quire_vfree(q, inside);
	return 0;
}
