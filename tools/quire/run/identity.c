/* SPDX-License-Identifier: MIT */
#include "run/identity.h"

#include "machine/atomic.h"
#include "machine/handed.h"

/* In this order: if the library comes alive in between, the look counts as one before it. */
void identity_look(struct identity *identity, pid_t pid)
{
	uint64_t program;

	identity->images_nr =
		load_acquire(&identity->owner->images_nr); /* pairs with its addition */
	program = handed_program((uint32_t)pid);
	if (program != 0)
		identity->program = program;
}

bool identity_is_other(const struct identity *identity)
{
	return identity->program != 0 && identity->program != identity->owner->program &&
	       identity->images_nr == identity->owner->images_nr;
}
