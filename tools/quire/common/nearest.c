/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <string.h>

#include "common/command.h"

/* Words on a command line; of a longer one only the beginning is compared. */
#define WORD_BYTES_MAX 31

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* Letters to insert, drop or change: "relay", "replay" -> 1; "abc", "abc" -> 0; "", "ab" -> 2. */
static unsigned distance(const char *a, const char *b)
{
	size_t b_bytes = strnlen(b, WORD_BYTES_MAX);
	unsigned row[WORD_BYTES_MAX + 1];

	for (unsigned j = 0; j <= b_bytes; j++)
		row[j] = j;
	for (unsigned i = 0; i < WORD_BYTES_MAX && a[i] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= b_bytes; j++) {
			unsigned changed = diagonal + (a[i] != b[j - 1]);

			diagonal = row[j];
			row[j] = min3(changed, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[b_bytes];
}

const char *command_nearest(const char *word, const char *const *words)
{
	const char *nearest = "";
	unsigned least = UINT_MAX;

	for (; *words != NULL; words++) {
		unsigned d = distance(word, *words);

		if (d < least) {
			least = d;
			nearest = *words;
		}
	}
	return nearest;
}
