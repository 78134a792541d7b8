/* SPDX-License-Identifier: MIT */
/* An area of quire_vmalloc() is given to quire_vunmap(). */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	quire_vunmap(q, quire_vmalloc(q, 100, 0));
	return 0;
}
