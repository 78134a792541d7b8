/* SPDX-License-Identifier: MIT */
/*
 * page.h - HTML pages: one file, nothing loaded, one look for all tools
 *
 * The text is well-formed XML, too: every element is closed, every attribute has a value.
 */
#ifndef QUIRE_TOOL_PAGE_H
#define QUIRE_TOOL_PAGE_H

#include <stdio.h>

/* Up to the beginning of the body; @style are lines of CSS over the common ones, ended by NULL. */
void page_begin(FILE *file, const char *title, const char *const *style);
void page_end(FILE *file);

/* Escaped; characters that no page may contain are left out. */
void page_text(FILE *file, const char *text);
/* <tag class="class">text</tag>, or nothing without a text; @class may be NULL. */
void page_element(FILE *file, const char *tag, const char *class, const char *text);
/* Lines as scripts/lines-as-c makes them. */
void page_lines(FILE *file, const char *const *lines);

#endif
