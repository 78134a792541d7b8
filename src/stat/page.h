/* SPDX-License-Identifier: MIT */
/*
 * stat/page.h - the observed page: a file in which a process shows what its memory is doing
 *
 * Written by the instance's worker (observe.c), read by `quire stats` while the process runs and after it has ended.
 * The file is a header and sections.  Each section is a text; its sequence count is odd while the text is being
 * written, so a reader copies it and looks whether the count is even and unchanged.
 *
 * Later versions add sections, and fields at the end of the header; whoever reads finds sections by name.
 */
#ifndef STAT_PAGE_H
#define STAT_PAGE_H

#include <stdint.h>

#include "machine/observed.h"

#define PAGE_MAGIC	 UINT64_C(0x3153424f45524951) /* "QIREOBS1", as it lies in memory */
#define PAGE_VERSION	 1u
#define PAGE_BYTES	 65536u
#define PAGE_SECTIONS_NR 8u

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
	uint32_t version, header_bytes, sections_nr, spare;
	struct observed_process process;
	uint64_t updated_ns;  /* atomic: CLOCK_MONOTONIC */
	uint64_t interval_ns; /* atomic: until the next update */
	struct page_section section[PAGE_SECTIONS_NR];
};

#endif
