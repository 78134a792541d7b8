/* SPDX-License-Identifier: MIT */
/* A page is freed to an instance that it does not come from. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	struct quire *other = NULL;

	if (quire_create(NULL, &other) != 0)
		return 1;
	quire_free_pages(q, quire_alloc_pages(other, 0, 0), 0);
	return 0;
}
