/* SPDX-License-Identifier: MIT */
/* chain.h - blocks that are held by their own first words, so that holding them takes no memory beside them */
#ifndef TESTS_MALLOC_CHAIN_H
#define TESTS_MALLOC_CHAIN_H

#include <stdlib.h>

struct link {
	struct link *next;
};

/* Blocks of @bytes until one is refused, in front of @chain. */
static inline struct link *chain_take(struct link *chain, size_t bytes)
{
	struct link *block;

	while ((block = malloc(bytes)) != NULL) {
		block->next = chain;
		chain = block;
	}
	return chain;
}

/* All that there is of blocks of @bytes, and of larger ones. */
static inline struct link *chain_take_all(size_t bytes)
{
	struct link *chain = NULL;

	for (size_t each = (size_t)1 << 20; each > bytes; each /= 2)
		chain = chain_take(chain, each);
	return chain_take(chain, bytes);
}

/* Returns how many there were. */
static inline size_t chain_free(struct link *chain)
{
	size_t nr = 0;

	while (chain != NULL) {
		struct link *next = chain->next;

		free(chain);
		chain = next;
		nr++;
	}
	return nr;
}

#endif
