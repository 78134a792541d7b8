/* SPDX-License-Identifier: MIT */
/* tree.c - random binary trees whose nodes carry a payload: built, changed and freed, in two threads */
#include "malloc/stress/shape.h"

#define KEYS_NR	   150000u
#define CHANGES_NR 800000u
#define TREES_NR   2u

struct node {
	struct node *below[2];
	uint32_t key;
	uint32_t bytes;
	char *payload;
};

static struct node *node_make(uint32_t key)
{
	struct node *node = shape_alloc(sizeof(*node));

	*node = (struct node){ .key = key, .bytes = 16 + key % 100 };
	node->payload = shape_alloc(node->bytes);
	shape_mark(node->payload, node->bytes, key);
	return node;
}

static void node_free(struct node *node)
{
	shape_check(node->payload, node->bytes, node->key);
	free(node->payload);
	free(node);
}

static struct node **node_find(struct node **at, uint32_t key)
{
	while (*at && (*at)->key != key)
		at = &(*at)->below[key > (*at)->key];
	return at;
}

/* Takes the node out: its place goes to its successor, or to its only child. */
static void node_remove(struct node **at)
{
	struct node *gone = *at;

	if (gone->below[0] && gone->below[1]) {
		struct node **next = &gone->below[1], *heir;

		while ((*next)->below[0])
			next = &(*next)->below[0];
		heir = *next;
		*next = heir->below[1];
		heir->below[0] = gone->below[0];
		heir->below[1] = gone->below[1];
		*at = heir;
	} else {
		*at = gone->below[0] ? gone->below[0] : gone->below[1];
	}
	node_free(gone);
}

static void *thread_main(void *arg)
{
	uint64_t random = (uintptr_t)arg + 1;

	for (unsigned tree = 0; tree < TREES_NR; tree++) {
		struct node *root = NULL;

		for (unsigned i = 0; i < CHANGES_NR; i++) {
			uint32_t key = random_below(&random, KEYS_NR);
			struct node **at = node_find(&root, key);

			if (*at)
				node_remove(at);
			else
				*at = node_make(key);
		}
		while (root)
			node_remove(&root);
	}
	return NULL;
}

void shape_tree(void)
{
	shape_start(SHAPE_THREADS, thread_main);
}
