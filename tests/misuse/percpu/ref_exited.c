/* SPDX-License-Identifier: MIT */
/* A reference is taken after exit. */
#include <quire/percpu_ref.h>

static struct quire_percpu_ref ref;

static void release(struct quire_percpu_ref *which)
{
	(void)which;
}

int main(void)
{
	if (quire_percpu_ref_init(quire_default(), &ref, release, 0) != 0)
		return 1;
	quire_percpu_ref_kill(&ref);
	quire_percpu_ref_exit(&ref);
	quire_percpu_ref_get(&ref);
	return 0;
}
