/* SPDX-License-Identifier: MIT */
/* An area is freed to an instance that it does not come from. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	struct quire *other = NULL;

	if (quire_create(NULL, &other) != 0)
		return 1;
	quire_vfree(q, quire_vmalloc(q, 1, 0));
	quire_vfree(q, quire_vmalloc(other, 1, 0));
	return 0;
}
