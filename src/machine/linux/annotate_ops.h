/* SPDX-License-Identifier: MIT */
/*
 * annotate_ops.h - which tools are present, and the calls for them
 *
 * valgrind's requests have names of our own here; in a build without its header, or with QUIRE_NO_VALGRIND, they are empty.
 * OPEN and CLOSE change which memory may be accessed, without making it a block.
 */
#ifndef MACHINE_LINUX_ANNOTATE_OPS_H
#define MACHINE_LINUX_ANNOTATE_OPS_H

#include <stdbool.h>
#include <stddef.h>

#if __has_include(<valgrind/memcheck.h>) && !defined(QUIRE_NO_VALGRIND)
#include <valgrind/memcheck.h>

#define VALGRIND_IS_THERE()		     (RUNNING_ON_VALGRIND != 0)
#define VALGRIND_ALLOC(addr, bytes, defined) VALGRIND_MALLOCLIKE_BLOCK(addr, bytes, 0, defined)
#define VALGRIND_FREE(addr, bytes)	     VALGRIND_FREELIKE_BLOCK(addr, 0)
#define VALGRIND_RESIZE(addr, old_bytes, bytes)                                                    \
	VALGRIND_RESIZEINPLACE_BLOCK(addr, old_bytes, bytes, 0)
#define VALGRIND_OPEN(addr, bytes)  (void)VALGRIND_MAKE_MEM_DEFINED(addr, bytes)
#define VALGRIND_CLOSE(addr, bytes) (void)VALGRIND_MAKE_MEM_NOACCESS(addr, bytes)
#else
#define VALGRIND_IS_THERE()			false
#define VALGRIND_ALLOC(addr, bytes, defined)	((void)(addr), (void)(bytes), (void)(defined))
#define VALGRIND_FREE(addr, bytes)		((void)(addr), (void)(bytes))
#define VALGRIND_RESIZE(addr, old_bytes, bytes) ((void)(addr), (void)(old_bytes), (void)(bytes))
#define VALGRIND_OPEN(addr, bytes)		((void)(addr), (void)(bytes))
#define VALGRIND_CLOSE(addr, bytes)		((void)(addr), (void)(bytes))
#endif

bool annotate_has_tsan(void);
bool annotate_has_valgrind(void);
bool annotate_has_lsan(void);
/* A reservation may contain pointers to the program's memory, so the leak check searches it. */
void annotate_reserve(void *addr, size_t bytes);
void annotate_release(void *addr, size_t bytes);

#endif
