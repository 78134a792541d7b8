/* SPDX-License-Identifier: MIT */
/* percpu/stat.h - texts about per-CPU memory: stat.c */
#ifndef PERCPU_STAT_H
#define PERCPU_STAT_H

#include <stddef.h>

struct quire;

/* A map of chunks: a row for each, its address and a character a page.  Returns as quire_text_percpu_stats(). */
size_t percpu_text_map(const struct quire *q, char *buffer, size_t bytes);

#endif
