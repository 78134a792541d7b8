/* SPDX-License-Identifier: MIT */
/* context.h - whether the caller is known to be in no signal handler */
#ifndef MACHINE_LINUX_CONTEXT_H
#define MACHINE_LINUX_CONTEXT_H

#include <stdbool.h>

bool context_is_ordinary(void);

#endif
