/* SPDX-License-Identifier: MIT */
/*
 * page/map.c - how much of each pageblock is in use: a character for each, beside the address of its row
 *
 *     a character is 2048 KiB: . away  _ free  ! under 5 % in use  1..9 tenths  # all
 *     0x7f2a40000000  ###9#3!!__##
 *
 * In use is what is allocated.  A row is MAP_COLUMNS characters; rows of which nothing is online are left out.  Where there would
 * be too many rows, a character is 2, 4, ... blocks.
 */
#include "page/map.h"

#include <stdbool.h>

#include "base/text.h"
#include "instance/worker.h"
#include "page/count.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/zone.h"

struct map {
	const struct pages *p;
	struct text *text;
	unsigned cell_blocks;
	uint64_t carried; /* pages of a run that began in a block before */
	char row[MAP_COLUMNS + 1];
	unsigned cells;		 /* of the row that are done */
	unsigned blocks, online; /* of the next cell, so far */
	uint64_t used;		 /* pages in it */
	uint32_t row_block;	 /* the row's first */
	bool is_there;		 /* something of the row is online */
};

/* How much of @pages is used, as a character.  0 of 512: '_'; 25: '!'; 26: '1'; 460: '9'; 512: '#'. */
static char cell(uint64_t used, uint64_t pages)
{
	if (pages == 0)
		return '.';
	if (used == 0)
		return '_';
	if (used * SPARSE_PARTS < pages)
		return '!';
	return used >= pages ? '#' : (char)('1' + used * 9 / pages);
}

static void end_row(struct map *map)
{
	map->row[map->cells] = '\0';
	if (map->is_there) {
		text_put_hex(map->text,
			     (uintptr_t)page_addr(map->p, block_frame(map->p, map->row_block)));
		text_put(map->text, "  ");
		text_put(map->text, map->row);
		text_put(map->text, "\n");
	}
	map->cells = 0;
	map->is_there = false;
}

static void end_cell(struct map *map)
{
	map->row[map->cells++] = cell(map->used, (uint64_t)map->online * block_pages(map->p));
	map->is_there = map->is_there || map->online != 0;
	map->blocks = map->online = 0;
	map->used = 0;
	if (map->cells == MAP_COLUMNS)
		end_row(map);
}

static void add_block(uint32_t block, const struct block_count *count, void *arg)
{
	struct map *map = arg;
	uint64_t used = count->allocated + map->carried, most = block_pages(map->p);

	if (map->cells == 0 && map->blocks == 0)
		map->row_block = block;
	map->carried = used > most ? used - most : 0;
	map->used += used - map->carried;
	map->online += count->online;
	if (++map->blocks == map->cell_blocks)
		end_cell(map);
}

static unsigned cell_blocks(const struct pages *p)
{
	uint64_t blocks = 0;
	unsigned nr = 1;

	for (unsigned i = 0; i < p->zones_nr; i++)
		blocks += load_relaxed(&p->zone[i].blocks_touched); /* a hint: it only grows */
	while (blocks > (uint64_t)nr * MAP_ROWS_MAX * MAP_COLUMNS)
		nr *= 2;
	return nr;
}

size_t page_text_map(const struct quire *q, char *buffer, size_t bytes)
{
	struct pages *p = pages_of(worker_exclude_begin(q));
	struct map map = { .p = p, .cell_blocks = cell_blocks(p) };
	struct text text;

	text_init(&text, buffer, bytes);
	map.text = &text;
	text_put(&text, "a character is ");
	text_put_u64(&text, ((uint64_t)map.cell_blocks * block_pages(p) << p->page_shift) >> 10);
	text_put(&text, " KiB: . away  _ free  ! under 5 % in use  1..9 tenths  # all\n");
	for (unsigned i = 0; i < p->zones_nr; i++) {
		page_count_blocks(p, &p->zone[i], add_block, &map);
		if (map.blocks != 0)
			end_cell(&map);
		if (map.cells != 0)
			end_row(&map);
		map.carried = 0;
	}
	worker_exclude_end(&p->q);
	return text.bytes;
}
