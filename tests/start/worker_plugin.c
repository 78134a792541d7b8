/* SPDX-License-Identifier: MIT */
/* worker_plugin.c - a plugin that has the static library in it, and leaves work behind */
#include <quire/page.h>

int worker_plugin_work(void);

int worker_plugin_work(void)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.decay_ms = 20);
	static struct quire *q;
	void *pages[256];

	if (q == NULL && quire_create(&options, &q) != 0)
		return 1;
	for (unsigned i = 0; i < 256; i++)
		pages[i] = quire_alloc_pages(q, 0, 0);
	for (unsigned i = 0; i < 256; i++)
		quire_free_pages(q, pages[i], 0);
	return 0;
}
