/* SPDX-License-Identifier: MIT */
/* linux/lock_order.h - the order of ranks, checked in debug builds only; the bare machine's locks, too, are checked by it */
#ifndef QUIRE_MACHINE_LINUX_LOCK_ORDER_H
#define QUIRE_MACHINE_LINUX_LOCK_ORDER_H

#include <stdbool.h>
#include <stdint.h>

void lock_order_check(const void *lock, uint16_t rank, bool ordered);
void lock_order_take(const void *lock, uint16_t rank);
void lock_order_put(uint16_t rank);

#endif
