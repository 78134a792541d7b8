/* SPDX-License-Identifier: MIT */
/*
 * annotate.c - ThreadSanitizer, LeakSanitizer and valgrind
 *
 * If there is a sanitizer runtime, it is part of the program: its functions are weak references
 * here.  ThreadSanitizer orders single words, so each word of freed memory is released and each
 * word of allocated memory is acquired; memory freed as pages may be allocated as a run, and vice
 * versa.  In a build with the sanitizer nothing is announced, because there it sees Quire's locks
 * and atomics.
 *
 * valgrind gets client requests, instructions that do nothing elsewhere.  They come from its
 * header.  In a build without the header, valgrind knows only the system calls.
 */
#include "machine/annotate.h"

#include "machine/linux/annotate_ops.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"

extern void __tsan_acquire(void *addr) __attribute__((weak));
extern void __tsan_release(void *addr) __attribute__((weak));
extern void __lsan_register_root_region(const void *addr, size_t bytes) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *addr, size_t bytes) __attribute__((weak));

/* Orders each word of the block by itself.  Beyond a page, one word per page suffices, since only
 * whole pages are handed out. */
#define TSAN_WORD_BYTES 8u

bool annotate_has_tsan(void)
{
	return !MACHINE_TSAN && &__tsan_acquire != NULL && &__tsan_release != NULL;
}

bool annotate_has_valgrind(void)
{
	return VALGRIND_IS_THERE();
}

bool annotate_has_lsan(void)
{
	return &__lsan_register_root_region != NULL && &__lsan_unregister_root_region != NULL;
}

bool annotate_wanted(void)
{
	return annotate_has_tsan() || annotate_has_valgrind();
}

static void tsan_each(void *addr, size_t bytes, void (*order)(void *addr))
{
	size_t step = bytes < mem_page_bytes() ? TSAN_WORD_BYTES : mem_page_bytes();

	if (!annotate_has_tsan())
		return;
	for (size_t at = 0; at < bytes; at += step)
		order((char *)addr + at);
}

void annotate_alloc(void *addr, size_t bytes, bool is_defined)
{
	tsan_each(addr, bytes, __tsan_acquire);
	VALGRIND_ALLOC(addr, bytes, is_defined);
}

void annotate_free(void *addr, size_t bytes)
{
	VALGRIND_FREE(addr, bytes);
	tsan_each(addr, bytes, __tsan_release);
}

void annotate_resize(void *addr, size_t old_bytes, size_t bytes)
{
	size_t page = mem_page_bytes();
	size_t old_end = (old_bytes + page - 1) & ~(page - 1),
	       end = (bytes + page - 1) & ~(page - 1);

	VALGRIND_RESIZE(addr, old_bytes, bytes);
	if (end > old_end)
		tsan_each((char *)addr + old_end, end - old_end, __tsan_acquire);
	else if (end < old_end)
		tsan_each((char *)addr + end, old_end - end, __tsan_release);
}

void annotate_split(void *addr, size_t bytes, size_t piece_bytes)
{
	VALGRIND_FREE(addr, bytes);
	for (size_t at = 0; at < bytes; at += piece_bytes)
		VALGRIND_ALLOC((char *)addr + at, piece_bytes, true);
}

void annotate_copies_alloc(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr)
{
	for (unsigned i = 1; i < copies_nr; i++)
		VALGRIND_OPEN((char *)first + i * stride_bytes, bytes);
}

void annotate_copies_free(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr)
{
	for (unsigned i = 1; i < copies_nr; i++)
		VALGRIND_CLOSE((char *)first + i * stride_bytes, bytes);
}

void annotate_reserve(void *addr, size_t bytes)
{
	if (annotate_has_lsan())
		__lsan_register_root_region(addr, bytes);
}

void annotate_release(void *addr, size_t bytes)
{
	if (annotate_has_lsan())
		__lsan_unregister_root_region(addr, bytes);
}
