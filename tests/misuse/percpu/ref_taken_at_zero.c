/* SPDX-License-Identifier: MIT */
/* A reference is taken of what nobody holds. */
#include <quire/percpu_ref.h>

static struct quire_percpu_ref ref;

static void release(struct quire_percpu_ref *which)
{
	(void)which;
}

int main(void)
{
	if (quire_percpu_ref_init(quire_default(), &ref, release, QUIRE_PERCPU_REF_DEAD) != 0)
		return 1;
	quire_percpu_ref_get_many(&ref, 3);
	return 0;
}
