/* SPDX-License-Identifier: MIT */
/* live_map.h - what lives at an address: a number and a size for each key */
#ifndef QUIRE_TOOL_LIVE_MAP_H
#define QUIRE_TOOL_LIVE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live_entry {
	uint64_t key;
	uint64_t bytes;
	uint32_t id;
	bool is_used;
};

/* All zero: empty. */
struct live_map {
	struct live_entry *entries; /* linear probing, at most half full */
	size_t room;		    /* 0 or a power of two */
	size_t used_nr;
};

/* NULL if the key has none.  Valid until the map changes. */
const struct live_entry *live_map_find(const struct live_map *map, uint64_t key);
/* Replaces what the key has.  0 or -ENOMEM. */
int live_map_put(struct live_map *map, uint64_t key, uint32_t id, uint64_t bytes);
/* The key need not have any. */
void live_map_remove(struct live_map *map, uint64_t key);
void live_map_fini(struct live_map *map);

#endif
