/* SPDX-License-Identifier: MIT */
/* malloc/linux/gzip.c - bytes in gzip's format without being made smaller */
#include "malloc/linux/gzip.h"

#include <stdbool.h>

#include "base/mem.h"

#define HEAD_BYTES 10u
#define TAIL_BYTES 8u /* the checksum, the length */

static const uint8_t head[HEAD_BYTES] = { 0x1f, 0x8b, 8, [9] = 3 }; /* deflate, no name, Unix */

static void sum_begin(struct gzip_sum *sum)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t crc = i;

		for (unsigned bit = 0; bit < 4; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
		sum->crc_of[i] = crc;
	}
	sum->crc = UINT32_MAX;
}

static void sum_add(struct gzip_sum *sum, uint8_t byte)
{
	uint32_t crc = sum->crc ^ byte;

	crc = crc >> 4 ^ sum->crc_of[crc & 15];
	sum->crc = crc >> 4 ^ sum->crc_of[crc & 15];
}

static void put_raw(struct gzip *gzip, const void *bytes, size_t bytes_nr)
{
	if (gzip->error == 0)
		gzip->error = gzip->write(gzip->arg, bytes, bytes_nr);
}

void gzip_begin(struct gzip *gzip, gzip_write_fn write, void *arg)
{
	gzip->write = write;
	gzip->arg = arg;
	gzip->error = 0;
	gzip->bytes = 0;
	gzip->used = 0;
	sum_begin(&gzip->sum);
	put_raw(gzip, head, sizeof(head));
}

static void put_block(struct gzip *gzip, bool is_last)
{
	size_t n = gzip->used;
	uint8_t block[5] = { is_last, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n,
			     (uint8_t)(~n >> 8) };

	put_raw(gzip, block, sizeof(block));
	put_raw(gzip, gzip->block, n);
	gzip->used = 0;
}

void gzip_put(struct gzip *gzip, const void *bytes, size_t bytes_nr)
{
	const uint8_t *from = bytes;

	gzip->bytes += (uint32_t)bytes_nr;
	for (size_t i = 0; i < bytes_nr; i++) {
		sum_add(&gzip->sum, from[i]);
		gzip->block[gzip->used++] = from[i];
		if (gzip->used == GZIP_BLOCK_BYTES)
			put_block(gzip, false);
	}
}

int gzip_end(struct gzip *gzip)
{
	uint32_t sums[2] = { ~gzip->sum.crc, gzip->bytes };
	uint8_t tail[TAIL_BYTES];

	put_block(gzip, true);
	for (unsigned i = 0; i < sizeof(tail); i++)
		tail[i] = (uint8_t)(sums[i / 4] >> i % 4 * 8);
	put_raw(gzip, tail, sizeof(tail));
	return gzip->error;
}

static const char *check_sum(const uint8_t *text, size_t bytes, const uint8_t *tail)
{
	struct gzip_sum sum;
	uint32_t wanted = 0;

	sum_begin(&sum);
	for (size_t i = 0; i < bytes; i++)
		sum_add(&sum, text[i]);
	for (unsigned i = 0; i < 4; i++)
		wanted |= (uint32_t)tail[i] << 8 * i;
	return wanted == ~sum.crc ? NULL : "has a wrong checksum";
}

const char *gzip_take_off(uint8_t *text, size_t *bytes)
{
	size_t at = HEAD_BYTES, to = 0;
	bool is_last = false;

	if (*bytes < HEAD_BYTES || memcmp(text, head, 3) != 0)
		return "is no file of gzip";
	if (text[3] != 0)
		return "is compressed, or has a name in it";
	while (!is_last) {
		size_t n;

		if (*bytes - at < 5)
			return "ends in the middle";
		if (text[at] > 1)
			return "is compressed";
		is_last = text[at] == 1;
		n = text[at + 1] | (size_t)text[at + 2] << 8;
		at += 5;
		if (*bytes - at < n)
			return "ends in the middle";
		for (size_t i = 0; i < n; i++)
			text[to++] = text[at++];
	}
	if (*bytes - at < TAIL_BYTES)
		return "ends in the middle";
	*bytes = to;
	return check_sum(text, to, text + at);
}
