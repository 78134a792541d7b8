/* SPDX-License-Identifier: MIT */
/* malloc/counted.h - what cold paths tell a process's part of the report (report.h): counted.c */
#ifndef MALLOC_COUNTED_H
#define MALLOC_COUNTED_H

#include <stdbool.h>
#include <stddef.h>

/* True if `quire run` wants figures of this process: then its memory is observed, too. */
bool malloc_counted_wanted(void);
/* Takes a part, if this process is to count.  Before the heap is ready; in a child of fork again. */
void malloc_counted_begin(void);
/* `quire run --profile`: has the profile in memory of the command's, and says how many bytes one block is sampled in, as
 * their log2 in *@shift. */
void malloc_counted_profile(unsigned *shift);
/* True if it counts; then every call is cold. */
bool malloc_is_counted(void);
/* A block with room for @bytes, of @class or large (0), was handed out; @slow: not by a sheaf at once.  Only if it
 * counts. */
void malloc_counted_alloc(unsigned class, size_t bytes, bool slow);
/* The same for a block that is about to be freed. */
void malloc_counted_free(unsigned class, size_t bytes, bool slow);

#endif
