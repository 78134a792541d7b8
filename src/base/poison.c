/* SPDX-License-Identifier: MIT */
/* base/poison.c - looking for the first byte that is not as it was written */
#include "base/poison.h"

#include <stddef.h>

#include "base/mem.h"

const uint8_t *poison_other(const uint8_t *from, const uint8_t *end, uint8_t value)
{
	uint64_t word = value * UINT64_C(0x0101010101010101), found;

	for (; end - from >= (ptrdiff_t)sizeof(found); from += sizeof(found)) {
		memcpy(&found, from, sizeof(found));
		if (found != word)
			break;
	}
	while (from < end && *from == value)
		from++;
	return from;
}
