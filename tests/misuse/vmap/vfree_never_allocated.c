/* SPDX-License-Identifier: MIT */
/* Addresses that no area ever had are freed. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area + ((size_t)24 << 20));
	return 0;
}
