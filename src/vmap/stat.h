/* SPDX-License-Identifier: MIT */
/* vmap/stat.h - texts about areas: stat.c */
#ifndef VMAP_STAT_H
#define VMAP_STAT_H

#include <stddef.h>

struct quire;

/* As quire_text_vmallocinfo(), but of the first areas only, as many as there is room for. */
size_t vmap_text_first_areas(const struct quire *q, char *buffer, size_t bytes);

#endif
