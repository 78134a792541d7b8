/* SPDX-License-Identifier: MIT */
#include "base/sized.h"

#include <stdbool.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"

static uint32_t size_of(const void *theirs)
{
	uint32_t bytes;

	memcpy(&bytes, theirs, sizeof(bytes));
	return bytes;
}

static bool is_size(uint32_t bytes)
{
	return bytes != 0 && bytes % 8 == 0 && bytes <= SIZED_BYTES_MAX;
}

static size_t common(uint32_t theirs_bytes, size_t ours_bytes)
{
	return theirs_bytes < ours_bytes ? theirs_bytes : ours_bytes;
}

/* True if the bytes in [from, end) are all zero; so if there are none. */
static bool is_zero(const void *data, size_t from, size_t end)
{
	const unsigned char *byte = data;

	while (from < end && byte[from] == 0)
		from++;
	return from >= end;
}

int sized_read(void *ours, size_t ours_bytes, const void *theirs)
{
	uint32_t theirs_bytes = size_of(theirs), size = (uint32_t)ours_bytes;

	CHECK(is_size(size));
	if (!is_size(theirs_bytes))
		return -EINVAL;
	if (!is_zero(theirs, ours_bytes, theirs_bytes))
		return -E2BIG;
	memset(ours, 0, ours_bytes);
	memcpy(ours, theirs, common(theirs_bytes, ours_bytes));
	memcpy(ours, &size, sizeof(size));
	return 0;
}

int sized_return(void *theirs, const void *ours, size_t ours_bytes)
{
	uint32_t theirs_bytes = size_of(theirs);
	size_t bytes = common(theirs_bytes, ours_bytes);

	CHECK(is_size(theirs_bytes));
	if (!is_zero(ours, bytes, ours_bytes))
		return -E2BIG;
	memcpy(theirs, ours, bytes);
	memcpy(theirs, &theirs_bytes, sizeof(theirs_bytes));
	return 0;
}

int sized_fill(void *theirs, const void *ours, size_t ours_bytes)
{
	uint32_t theirs_bytes = size_of(theirs), filled;

	if (!is_size(theirs_bytes))
		return -EINVAL;
	filled = (uint32_t)common(theirs_bytes, ours_bytes);
	memset(theirs, 0, theirs_bytes);
	memcpy(theirs, ours, filled);
	memcpy(theirs, &filled, sizeof(filled));
	return 0;
}
