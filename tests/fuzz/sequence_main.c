/* SPDX-License-Identifier: MIT */
/*
 * sequence_main.c - runs sequences of calls: those of files, and random ones
 *
 *	malloc_sequence_test FILE...   each file, as a fuzzer left it
 *	QUIRE_SEQUENCE_CALLS=N         that many random calls after them (10,000,000 in the soak)
 *	QUIRE_SEQUENCE_SEED=N          of the random bytes; printed first
 */
#include <stdio.h>
#include <stdlib.h>
#include "fuzz/sequence.h"

#define CALLS_NR   300000u
#define CHUNK	   4096u /* calls between two empty heaps, at most */
#define FILE_BYTES ((size_t)1 << 20)

static uint8_t bytes[FILE_BYTES];

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t random_run(uint64_t calls_nr, uint64_t seed)
{
	uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
	size_t done = 0;

	while (done < calls_nr) {
		size_t nr = (1 + random_next(&state) % CHUNK) * SEQUENCE_CALL_BYTES;

		for (size_t i = 0; i < nr; i++)
			bytes[i] = (uint8_t)(random_next(&state) >> 32);
		done += sequence_run(bytes, nr);
	}
	return done;
}

int main(int argc, char **argv)
{
	uint64_t calls_nr = number_of("QUIRE_SEQUENCE_CALLS", CALLS_NR);
	uint64_t seed = number_of("QUIRE_SEQUENCE_SEED", 1);
	size_t done = 0;

	printf("%d files; %llu random calls with seed %llu\n", argc - 1,
	       (unsigned long long)calls_nr, (unsigned long long)seed);
	fflush(stdout);
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");

		if (!file) {
			perror(argv[i]);
			return 1;
		}
		done += sequence_run(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
	}
	done += random_run(calls_nr, seed);
	printf("%zu calls\n", done);
	return 0;
}
