/* SPDX-License-Identifier: MIT */
#include "run/identity.h"

#include "machine/atomic.h"
#include "machine/handed.h"

/* In this order: if the library comes alive in between, the look counts as one before it.  A process that has
 * ended has no program any more, and the look before it stays. */
void identity_look(struct identity *identity, pid_t pid)
{
	uint32_t images = load_acquire(&identity->owner->images_nr); /* pairs with its addition */
	uint64_t program = handed_program((uint32_t)pid);

	if (program == 0)
		return;
	identity->images_nr = images;
	identity->program = program;
}

bool identity_is_other(const struct identity *identity)
{
	return identity->program != 0 && identity->program != identity->owner->program &&
	       identity->images_nr == identity->owner->images_nr;
}
