/* SPDX-License-Identifier: MIT */
/* slab/poison.h - what is written to memory that nobody may use: by checked caches and by malloc's debug:on */
#ifndef SLAB_POISON_H
#define SLAB_POISON_H

#include <stdint.h>

/* The values are Linux's. */
#define RED_INACTIVE 0xbb /* beside an object that is free */
#define RED_ACTIVE   0xcc /* beside one that is in use */
#define POISON_FREE  0x6b /* in one that is free */
#define POISON_FRESH 0x5a /* in one that was never written */

/* The first byte that is not @value; @end if all are. */
const uint8_t *poison_other(const uint8_t *from, const uint8_t *end, uint8_t value);

#endif
