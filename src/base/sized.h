/* SPDX-License-Identifier: MIT */
/*
 * sized.h - public structs that a caller and a library of different versions exchange
 *
 * A public struct begins with a uint32_t, its size where the caller was compiled.  Later versions
 * only append fields, and zero in a new field selects the old behaviour.  So of two versions of a
 * struct the shorter is a prefix of the longer, and these functions convert between them.
 *
 * A size is a multiple of 8 (public structs have no padding at their end) and at most
 * SIZED_BYTES_MAX, so a size that the caller forgot to set is usually refused.
 */
#ifndef BASE_SIZED_H
#define BASE_SIZED_H

#include <stddef.h>
#include <stdint.h>

/* The largest struct has some 300 bytes; the bound is for sizes that are no sizes. */
#define SIZED_BYTES_MAX 4096u

/*
 * Copies a caller's struct into ours, and sets the size in it to @ours_bytes.  Fields that the caller
 * does not have are zero.
 *
 * Returns 0; -EINVAL if the size is none; -E2BIG if a byte beyond @ours_bytes is not zero: the caller
 * asks for what this library does not know.
 */
int sized_read(void *ours, size_t ours_bytes, const void *theirs);

/*
 * Copies what sized_read() read, and a call then changed, back into the caller's struct.  The size in
 * it stays.
 *
 * Returns 0; -E2BIG, with nothing written, if the caller has no room for a byte that is not zero.
 */
int sized_return(void *theirs, const void *ours, size_t ours_bytes);

/*
 * Fills a caller's struct from ours, as far as both reach.  The size in it is then how much was
 * filled, and what is beyond it in the caller's struct is zero.
 *
 * Returns 0; -EINVAL if the size is none.
 */
int sized_fill(void *theirs, const void *ours, size_t ours_bytes);

#endif
