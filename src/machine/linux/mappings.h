/* SPDX-License-Identifier: MIT */
#ifndef MACHINE_LINUX_MAPPINGS_H
#define MACHINE_LINUX_MAPPINGS_H

#include <stdint.h>

/* For tests: assumes that the process may have @system_max mappings.  0: asks the system. */
void mappings_set_system_max(uint64_t system_max);

#endif
