/* SPDX-License-Identifier: MIT */
/*
 * stat --json | --prometheus | --wait: every figure of the default instance, after some use of it; or waits to be looked at
 * (QUIRE_CONF=observe:on, `quire top`).
 */
#include <quire/page.h>
#include <quire/stat.h>
#include <quire/vmap.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char text[QUIRE_STAT_TEXT_MAX];
	struct quire *q = quire_default();
	void *pages = quire_alloc_pages(q, 4, 0);
	void *area = quire_vmalloc(q, 1 << 20, QUIRE_ZERO);

	if (pages == NULL || area == NULL)
		return 1;
	if (argc > 1 && strcmp(argv[1], "--wait") == 0)
		pause();
	else if (argc > 1 && strcmp(argv[1], "--prometheus") == 0)
		quire_stat_prometheus(q, text, sizeof(text));
	else
		quire_stat_json(q, text, sizeof(text));
	fputs(text, stdout);
	quire_vfree(q, area);
	quire_free_pages(q, pages, 4);
	return 0;
}
