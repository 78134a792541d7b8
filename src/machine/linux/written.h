/* SPDX-License-Identifier: MIT */
/* written.h - the two ways to ask, for tests */
#ifndef QUIRE_MACHINE_LINUX_WRITTEN_H
#define QUIRE_MACHINE_LINUX_WRITTEN_H

#include <stdbool.h>
#include <stdint.h>

struct mem_stretches;

/* As mem_find_written(); @by_page: as systems before Linux 6.7 are asked. */
int written_ask(const struct mem_stretches *stretches, bool by_page, uint64_t *masks);

#endif
