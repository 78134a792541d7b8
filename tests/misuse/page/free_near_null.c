/* SPDX-License-Identifier: MIT */
/* An offset from NULL is freed. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();

	quire_free_pages(q, (void *)(uintptr_t)1, 0);
	return 0;
}
