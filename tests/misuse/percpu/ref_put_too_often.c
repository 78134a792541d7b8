/* SPDX-License-Identifier: MIT */
/* One reference is dropped twice. */
#include <quire/percpu_ref.h>

static struct quire_percpu_ref ref;

static void release(struct quire_percpu_ref *which)
{
	(void)which;
}

int main(void)
{
	if (quire_percpu_ref_init(quire_default(), &ref, release, QUIRE_PERCPU_REF_ATOMIC) != 0)
		return 1;
	quire_percpu_ref_put(&ref);
	quire_percpu_ref_put(&ref);
	return 0;
}
