/* SPDX-License-Identifier: MIT */
/* vmap/kind.h - what the list of modules needs of this one */
#ifndef VMAP_KIND_H
#define VMAP_KIND_H

#include "instance/kind.h"

extern const struct module_kind vmap_kind;

#endif
