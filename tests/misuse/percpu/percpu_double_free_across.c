/* SPDX-License-Identifier: MIT */
/* An object that crosses a word of the map's 64 granules, while what fits into the rest of that word is a
 * size that comes and goes. */
#include <quire/percpu.h>
#include <stdint.h>

#define OBJECTS_NR 64u

int main(void)
{
	struct quire *q = quire_default();
	void *object[OBJECTS_NR], *across = NULL;

	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		object[i] = quire_alloc_percpu(q, 40, 0, 0);
		if ((uintptr_t)object[i] / 8 % 64 == 62)
			across = object[i];
	}
	for (int i = 0; i < 100; i++)
		quire_free_percpu(q, quire_alloc_percpu(q, 16, 0, 0));
	quire_free_percpu(q, across);
	quire_free_percpu(q, across);
	return across == NULL;
}
