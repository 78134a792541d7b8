/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <quire/page.h>
#include <quire/quire.h>
#include <stdio.h>

int main(void)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = 16 << 20, .decay_ms = 100);
	void *blocks[16]; /* of 1 MiB */
	unsigned nr = 0;
	struct quire *q;

	if (quire_create(&options, &q) != 0)
		return 1;
	/* Until the limit is reached: a refusal changes nothing. */
	while (nr < 16 && (blocks[nr] = quire_alloc_pages(q, 8, 0)) != NULL)
		nr++;
	printf("%u MiB, then %s\n", nr, errno == ENOMEM ? "refused" : "still more");
	while (nr > 0)
		quire_free_pages(q, blocks[--nr], 8);
	printf("%zu bytes given back\n", quire_release(q));
	quire_destroy(q);
	return 0;
}
