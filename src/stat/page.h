/* SPDX-License-Identifier: MIT */
/*
 * stat/page.h - the observed page: a file in which a process shows what its memory is doing
 *
 * Written by the instance's worker (observe.c), read by `quire stats` while the process runs and after it has ended.
 * The file is a header and sections.  Each section is a text; its sequence count is odd while the text is being
 * written, so a reader copies it and looks whether the count is even and unchanged.
 *
 * Later versions add sections, and fields between interval_ns and the table of sections; the file may become longer, and an entry of
 * the table too.  So whoever reads takes of the header what it knows and header_bytes has, finds the table at
 * sections_offset, and in it sections by name.  PAGE_VERSION changes only if that is not enough.  A file without the magic
 * number is just being made.
 */
#ifndef STAT_PAGE_H
#define STAT_PAGE_H

#include <stdint.h>

#include "machine/observed.h"

#define PAGE_MAGIC	 UINT64_C(0x3153424f45524951) /* "QIREOBS1", as it lies in memory */
#define PAGE_VERSION	 2u
#define PAGE_BYTES	 65536u
#define PAGE_SECTIONS_NR 11u

struct page_section {
	char name[16];
	uint32_t offset, room_bytes; /* in the file */
	uint32_t seq;		     /* atomic: odd while it is being written; 0: never */
	uint32_t bytes;		     /* of the text, without NUL; cut at room_bytes - 1 */
	uint32_t whole_bytes;	     /* that it would have */
	uint32_t spare;
};

struct page_header {
	uint64_t magic; /* stored last */
	uint32_t version;
	uint32_t header_bytes; /* without the table */
	uint32_t sections_nr;
	uint32_t sections_offset; /* of the table, in the file */
	uint32_t section_bytes;	  /* of an entry */
	uint32_t spare;
	struct observed_process process; /* at OBSERVED_PROCESS_OFFSET */
	uint64_t updated_ns;		 /* atomic: CLOCK_MONOTONIC */
	uint64_t interval_ns;		 /* atomic: until the next update */
	struct page_section section[PAGE_SECTIONS_NR];
};

#endif
