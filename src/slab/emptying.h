/* SPDX-License-Identifier: MIT */
/* slab/emptying.h - which sparse slabs get no new users, so that they become empty: emptying.c */
#ifndef SLAB_EMPTYING_H
#define SLAB_EMPTYING_H

#include <stdbool.h>

#include "slab/slab.h"

/* Called by each give and take; chooses afresh every few of them. */
void slab_emptying_turn_locked(struct slabs *s, struct slab_class *c);
/* Chooses now.  True if there may be more to choose. */
bool slab_emptying_choose_locked(struct slabs *s, struct slab_class *c);
/* For a class that has no other free object: unmarks the slab that was chosen last.  False if there is none. */
bool slab_emptying_undo_locked(struct slabs *s, struct slab_class *c);

#endif
