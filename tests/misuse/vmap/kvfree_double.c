/* SPDX-License-Identifier: MIT */
/* Memory from quire_kvmalloc() is freed twice. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *addr = quire_kvmalloc(q, 4096, 0);

	quire_kvfree(q, addr);
	quire_kvfree(q, addr);
	return 0;
}
