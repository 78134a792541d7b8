/* SPDX-License-Identifier: MIT */
#include "base/text.h"

void text_init(struct text *text, char *buffer, size_t room_bytes)
{
	*text = (struct text){ .buffer = buffer, .room_bytes = room_bytes };
	if (room_bytes != 0)
		buffer[0] = '\0';
}

void text_put_bytes(struct text *text, const char *bytes, size_t bytes_nr)
{
	for (size_t i = 0; i < bytes_nr; i++) {
		if (text->bytes + 1 < text->room_bytes) {
			text->buffer[text->bytes] = bytes[i];
			text->buffer[text->bytes + 1] = '\0';
		}
		text->bytes++;
	}
}

void text_put(struct text *text, const char *string)
{
	while (*string != '\0')
		text_put_bytes(text, string++, 1);
}

void text_put_u64_width(struct text *text, uint64_t value, unsigned width)
{
	char digits[20];
	unsigned digits_nr = 0;

	do {
		digits[digits_nr++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	for (unsigned i = digits_nr; i < width; i++)
		text_put_bytes(text, " ", 1);
	while (digits_nr != 0)
		text_put_bytes(text, &digits[--digits_nr], 1);
}

void text_put_u64(struct text *text, uint64_t value)
{
	text_put_u64_width(text, value, 0);
}

void text_put_hex(struct text *text, uint64_t value)
{
	static const char digits[] = "0123456789abcdef";
	unsigned shift = 60;

	text_put(text, "0x");
	while (shift != 0 && value >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		text_put_bytes(text, &digits[value >> shift & 15], 1);
		if (shift == 0)
			break;
	}
}

void text_put_width(struct text *text, const char *string, unsigned width)
{
	size_t start = text->bytes;

	text_put(text, string);
	while (text->bytes - start < width)
		text_put_bytes(text, " ", 1);
}

void text_end_line(struct text *text)
{
	if (text->bytes + 1 >= text->room_bytes)
		text->bytes = text->room_bytes - 2;
	text_put(text, "\n");
}
