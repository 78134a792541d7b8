/* SPDX-License-Identifier: MIT */
/* malloc/linux/gzip.h - bytes in gzip's format without being made smaller, in deflate's stored blocks: gzip.c */
#ifndef MALLOC_LINUX_GZIP_H
#define MALLOC_LINUX_GZIP_H

#include <stddef.h>
#include <stdint.h>

#define GZIP_BLOCK_BYTES 65535u /* most of a stored block */

/* 0 or -errno. */
typedef int (*gzip_write_fn)(void *arg, const void *bytes, size_t bytes_nr);

struct gzip_sum {
	uint32_t crc;
	uint32_t crc_of[16]; /* of four bits */
};

struct gzip {
	gzip_write_fn write;
	void *arg;
	int error;
	uint32_t bytes;	     /* that went in */
	struct gzip_sum sum; /* of them */
	size_t used;
	uint8_t block[GZIP_BLOCK_BYTES];
};

void gzip_begin(struct gzip *gzip, gzip_write_fn write, void *arg);
void gzip_put(struct gzip *gzip, const void *bytes, size_t bytes_nr);
/* 0, or what the first write that failed said. */
int gzip_end(struct gzip *gzip);

/* Takes the format off, in place.  NULL, and *@bytes are what was in it; else why not: "is compressed", for one. */
const char *gzip_take_off(uint8_t *text, size_t *bytes);

#endif
