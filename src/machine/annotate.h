/* SPDX-License-Identifier: MIT */
/*
 * annotate.h - telling a tool that watches this process what becomes of memory
 *
 * ThreadSanitizer takes memory that one thread frees and another is handed for shared memory without
 * order, and valgrind cannot tell free memory from memory in use, unless the allocator says so.
 * annotate_wanted() is the same for the life of a process.  Where it is true, instances work without
 * sequences, so that every call takes a path that calls these functions; where it is false, nobody
 * calls them.
 *
 * What is freed is said before anybody else can have it, what is allocated before it is touched.
 */
#ifndef MACHINE_ANNOTATE_H
#define MACHINE_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

bool annotate_wanted(void);
/* @is_defined: what is read from it before it is written is no mistake. */
void annotate_alloc(void *addr, size_t bytes, bool is_defined);
void annotate_free(void *addr, size_t bytes);
/* An allocation grows or shrinks where it is. */
void annotate_resize(void *addr, size_t old_bytes, size_t bytes);
/* An allocation becomes several of @piece_bytes. */
void annotate_split(void *addr, size_t bytes, size_t piece_bytes);
/* The further copies of a per-CPU object, which live and die with the first. */
void annotate_copies_alloc(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr);
void annotate_copies_free(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr);

#endif
