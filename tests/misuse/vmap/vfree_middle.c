/* SPDX-License-Identifier: MIT */
/* An area is freed by the address of its second page. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area + quire_page_bytes(q));
	return 0;
}
