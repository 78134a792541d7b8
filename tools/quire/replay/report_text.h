/* SPDX-License-Identifier: MIT */
/* report_text.h - shared by the tables of all kinds: numbers as text, headings, the last lines */
#ifndef QUIRE_TOOL_REPORT_TEXT_H
#define QUIRE_TOOL_REPORT_TEXT_H

#include "replay/outcome.h"

struct number {
	char text[32];
};

/* 7 -> "7", 1234 -> "1,234", 1234567 -> "1,234,567". */
struct number number_grouped(uint64_t value);
/* 4096 -> "4.0 KiB". */
struct number number_bytes(uint64_t bytes);
/* 1048576 -> "1.0". */
struct number number_mib(uint64_t bytes);
/* 1, 8 -> "12.50 %". */
struct number number_percent(uint64_t part, uint64_t whole);
/* 5, 2 -> "2.5"; -, if @whole is 0. */
struct number number_ratio(uint64_t part, uint64_t whole);

void report_heading(const struct outcome *outcome, FILE *file);
void report_sizes(const struct outcome *outcome, FILE *file, const char *what);
void report_time(const struct outcome *outcome, FILE *file);
void report_checked(const struct outcome *outcome, FILE *file);

/* ---- the kinds ------------------------------------------------------------------------------- */
void report_pages(const struct outcome *outcome, FILE *file);
void report_percpu(const struct outcome *outcome, FILE *file);
void report_slab(const struct outcome *outcome, FILE *file);
void report_vmap(const struct outcome *outcome, FILE *file);

#endif
