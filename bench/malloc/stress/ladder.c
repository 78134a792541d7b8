/* SPDX-License-Identifier: MIT */
/* ladder.c - buffers that grow by half, a few at a time, are filled, shrink to fit, and die */
#include <string.h>
#include "malloc/stress/shape.h"

#define BUFFERS_NR 24u
#define STEPS_NR   4000000u
#define FIRST	   24u
#define TOP_BITS   8u /* the largest is up to 2^this times 8 KiB */

struct buffer {
	unsigned char *bytes;
	size_t have;
	size_t top; /* it is full there */
	uint32_t mark;
};

static void buffer_resize(struct buffer *buffer, size_t want)
{
	size_t had = buffer->have;
	unsigned char *bytes = realloc(buffer->bytes, want);

	if (!bytes)
		shape_refuse("an allocation was refused");
	if (had != 0 && bytes[0] != (unsigned char)buffer->mark)
		shape_refuse("a buffer is not what was written");
	if (want > had)
		memset(bytes + had, (int)buffer->mark, want - had);
	else if (bytes[want - 1] != (unsigned char)buffer->mark)
		shape_refuse("a buffer is not what was written");
	buffer->bytes = bytes;
	buffer->have = want;
}

static void buffer_step(struct buffer *buffer, uint64_t *random)
{
	if (!buffer->bytes) {
		buffer->mark = random_below(random, 256);
		/* Most stay small. */
		buffer->top = (size_t)64 << random_below(random, TOP_BITS);
		if (random_below(random, 64) == 0)
			buffer->top = (size_t)8192 << random_below(random, TOP_BITS);
		buffer_resize(buffer, FIRST);
	} else if (buffer->have < buffer->top) {
		buffer_resize(buffer, buffer->have + buffer->have / 2);
	} else {
		buffer_resize(buffer, buffer->have - buffer->have / 4);
		free(buffer->bytes);
		*buffer = (struct buffer){ .bytes = NULL };
	}
}

void shape_ladder(void)
{
	static struct buffer buffers[BUFFERS_NR];
	uint64_t random = 1;

	for (unsigned i = 0; i < STEPS_NR; i++)
		buffer_step(&buffers[random_below(&random, BUFFERS_NR)], &random);
	for (unsigned i = 0; i < BUFFERS_NR; i++)
		free(buffers[i].bytes);
}
