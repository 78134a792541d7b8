/* SPDX-License-Identifier: MIT */
/* stat/kind.h - what the list of modules needs of this one */
#ifndef STAT_KIND_H
#define STAT_KIND_H

#include "instance/kind.h"

extern const struct module_kind stat_kind; /* observe.c */

#endif
