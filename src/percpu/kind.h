/* SPDX-License-Identifier: MIT */
/* percpu/kind.h - what the list of modules needs of this one */
#ifndef PERCPU_KIND_H
#define PERCPU_KIND_H

#include "instance/kind.h"

extern const struct module_kind percpu_kind;

#endif
