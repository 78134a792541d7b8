/* SPDX-License-Identifier: MIT */
/*
 * text.h - build a text in a buffer of fixed size, without libc and without allocating
 *
 * Bytes past the end are counted but not stored, so @bytes is the length of the complete text;
 * the stored text always ends with a NUL.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
	char *buffer;
	size_t room_bytes; /* the final NUL included */
	size_t bytes;	   /* length of the whole text so far */
};

void text_init(struct text *text, char *buffer, size_t room_bytes);
void text_put(struct text *text, const char *string);
void text_put_bytes(struct text *text, const char *bytes, size_t bytes_nr);
void text_put_u64(struct text *text, uint64_t value);
/* Right-aligned in at least @width columns. */
void text_put_u64_width(struct text *text, uint64_t value, unsigned width);
void text_put_hex(struct text *text, uint64_t value);
/* Ends the line; in a text that is full, in place of its last byte.  There is room for a byte and the NUL. */
void text_end_line(struct text *text);
/* Left-aligned and padded to at least @width columns. */
void text_put_width(struct text *text, const char *string, unsigned width);

#endif
