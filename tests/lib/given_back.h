/* SPDX-License-Identifier: MIT */
/* given_back.h - how much free memory an instance has returned to the system */
#ifndef GIVEN_BACK_H
#define GIVEN_BACK_H

#include <stdint.h>

struct quire;

/* Since the instance was created. */
uint64_t given_back_bytes(struct quire *q);
/* Waits until it is @bytes or more; fails the test if that does not happen.  Uses cmocka. */
void await_given_back(struct quire *q, uint64_t bytes);

#endif
