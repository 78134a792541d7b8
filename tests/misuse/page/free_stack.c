/* SPDX-License-Identifier: MIT */
/* A variable on the stack is freed. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	char variable = 0;

	quire_free_pages(q, &variable, 0);
	return 0;
}
