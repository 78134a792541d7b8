/* SPDX-License-Identifier: MIT */
/* An area is freed by the address of its second byte. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area + 1);
	return 0;
}
