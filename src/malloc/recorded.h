/* SPDX-License-Identifier: MIT */
/* malloc/recorded.h - a layer (layer.h) that records each call for `quire record`: recorded.c */
#ifndef MALLOC_RECORDED_H
#define MALLOC_RECORDED_H

#include <stdbool.h>

struct malloc_layer;

/* The layer, above @below; or @below if this process is not to be recorded. */
const struct malloc_layer *malloc_recorded_begin(const struct malloc_layer *below);
/* In a child of fork of a process that is recorded: the layer, or what is below it. */
const struct malloc_layer *malloc_recorded_fork_child(void);

#endif
