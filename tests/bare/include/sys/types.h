/* SPDX-License-Identifier: MIT */
/* types.h - no process has a number */
#ifndef BARE_SYS_TYPES_H
#define BARE_SYS_TYPES_H

typedef int pid_t;

#endif
