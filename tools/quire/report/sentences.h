/* SPDX-License-Identifier: MIT */
/* sentences.h - shared by the rules for recordings and those for statistics */
#ifndef QUIRE_TOOL_REPORT_SENTENCES_H
#define QUIRE_TOOL_REPORT_SENTENCES_H

#include "replay/report_text.h"
#include "report/draw.h"

__attribute__((format(printf, 3, 4))) void sentence_add(struct source *source, unsigned idx,
							const char *format, ...);
struct number sentence_bytes(double bytes);
/* sentences_statistics.c */
void sentences_of_statistics(struct source *source);

#endif
