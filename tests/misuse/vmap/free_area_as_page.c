/* SPDX-License-Identifier: MIT */
/* An area is freed as a page. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_free_pages(q, area, 0);
	return 0;
}
