/* SPDX-License-Identifier: MIT */
/* addresses.h - the process's budget of reserved addresses */
#ifndef MACHINE_LINUX_ADDRESSES_H
#define MACHINE_LINUX_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts addresses that are about to be reserved; false, and nothing is counted, if they exceed the
 * budget. */
bool addresses_take(size_t bytes);
/* Counts some that were reserved already. */
void addresses_add(size_t bytes);
/* Returns addresses to the budget. */
void addresses_put(size_t bytes);
/* RLIMIT_AS; UINT64_MAX if there is none or the query is refused. */
uint64_t addresses_limit_bytes(void);

#endif
