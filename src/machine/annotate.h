/* SPDX-License-Identifier: MIT */
/*
 * annotate.h - announcing allocations and frees to a tool that watches this process
 *
 * Unless the allocator announces frees and allocations, ThreadSanitizer reports memory that one
 * thread frees and another reuses as a race, and valgrind cannot tell free memory from memory in
 * use.  annotate_wanted() does not change during the life of a process.  If it is true, instances
 * work without sequences, so every call takes a path that calls these functions; if it is false, no
 * path calls them.
 *
 * A free is announced before the memory can be reused, an allocation before the memory is accessed.
 */
#ifndef MACHINE_ANNOTATE_H
#define MACHINE_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

bool annotate_wanted(void);
/* @is_defined: reading the memory before it is written is no error. */
void annotate_alloc(void *addr, size_t bytes, bool is_defined);
void annotate_free(void *addr, size_t bytes);
/* An allocation grows or shrinks in place. */
void annotate_resize(void *addr, size_t old_bytes, size_t bytes);
/* An allocation becomes several of @piece_bytes. */
void annotate_split(void *addr, size_t bytes, size_t piece_bytes);
/* The further copies of a per-CPU object, which live and die with the first. */
void annotate_copies_alloc(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr);
void annotate_copies_free(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr);

#endif
