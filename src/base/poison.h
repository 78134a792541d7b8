/* SPDX-License-Identifier: MIT */
/* base/poison.h - what is written to memory that nobody may use: page_poison, checked caches, malloc's debug:on */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stdint.h>

/* The values are Linux's. */
#define RED_INACTIVE 0xbb /* beside an object that is free */
#define RED_ACTIVE   0xcc /* beside one that is in use */
#define POISON_FREE  0x6b /* in one that is free */
#define POISON_FRESH 0x5a /* in one that was never written */
#define POISON_PAGE  0xaa /* in a page that is free */

/* The first byte that is not @value; @end if all are. */
const uint8_t *poison_other(const uint8_t *from, const uint8_t *end, uint8_t value);

#endif
