/* SPDX-License-Identifier: MIT */
/* Sampled guards: each misuse of a block on a page of its own ends with its line. */
#define MISUSE_CONF "limit:64m,sample:1"
#include "misuse/misuse_case.h"

#define FREE   "free"
/* The module and the offset of each caller. */
#define CALLER " +([!+ ])+0x+([0-9a-f])"
#define SAMPLED(place, size)                                                                       \
	": address 0x+([0-9a-f]) (" place ", size " size "), CPU +([0-9]), allocated at+(" CALLER  \
	")"
#define AT_OFFSET(offset, size)	      SAMPLED("offset " offset, size) "\n"
#define AT_BEFORE(offset, size)	      SAMPLED("bytes before " offset, size) "\n"
#define AT_OFFSET_FREED(offset, size) SAMPLED("offset " offset, size) ", freed at+(" CALLER ")\n"

#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "sampled_read_behind", "read behind a block" AT_OFFSET("64", "64") },
	{ "sampled_written_behind", "written behind a block" AT_OFFSET("64", "64") },
	{ "sampled_written_far_behind", "written behind a block" AT_OFFSET("4596", "4096") },
	{ "sampled_written_in_front", "written in front of a block" AT_BEFORE("1", "64") },
	{ "sampled_read_after_free", "read after it was freed" AT_OFFSET_FREED("5", "48") },
	{ "sampled_written_after_free", "written after it was freed" AT_OFFSET_FREED("0", "48") },
	{ "sampled_written_after_realloc",
	  "written after it was freed" AT_OFFSET_FREED("1", "48") },
	{ "sampled_written_in_child", "written behind a block" AT_OFFSET("64", "64") },
	{ .program = "sampled_written_near",
	  .rule = "written behind an object" AT_WITH(FREE, "offset 60") },
	{ .program = "sampled_written_near_start",
	  .rule = "written behind an object" AT_WITH(FREE, "offset 100") },
	{ .program = "sampled_written_behind_shrunk",
	  .rule = "written behind an object" AT_WITH(FREE, "offset 60") },
	{ "sampled_double_free", "double free" AT_WITH(FREE, "size 64") },
	{ .program = "sampled_free_inner",
	  .rule = "the middle of an object" AT_WITH(FREE, "size 64") },
	{ .program = "sampled_free_page",
	  .rule = "not the start of a block" AT_WITH(FREE, "size 64") },
	{ .program = "sampled_sized_larger",
	  .rule = "wrong size" AT_WITH("free_sized", "bytes of the block 64") },
	{ .program = "sampled_sized_smaller",
	  .rule = "wrong size" AT_WITH("free_sized", "bytes of the block 100") },
	{ "sampled_realloc_freed", "double free" AT_WITH("realloc", "size 64") },
};

int main(int argc, char **argv)
{
	return misuse_main(misuses, MISUSES_NR, argv + 1, argc - 1);
}
