/* SPDX-License-Identifier: MIT */
/* malloc/hardened.h - hardened:on: a layer (layer.h) that takes the heap's place: hardened.c */
#ifndef MALLOC_HARDENED_H
#define MALLOC_HARDENED_H

#include "malloc/layer.h"

/* Blocks are objects and areas of a hardened instance; it calls no layer below. */
extern const struct malloc_layer malloc_hardened __attribute__((visibility("hidden")));

#endif
