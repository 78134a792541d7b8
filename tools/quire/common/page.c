/* SPDX-License-Identifier: MIT */
#include "common/page.h"

extern const char *const page_style[]; /* page.css */

void page_lines(FILE *file, const char *const *lines)
{
	for (; *lines != NULL; lines++)
		fputs(*lines, file);
}

void page_text(FILE *file, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '<')
			fputs("&lt;", file);
		else if (*text == '>')
			fputs("&gt;", file);
		else if (*text == '&')
			fputs("&amp;", file);
		else if (*text == '"')
			fputs("&quot;", file);
		else if ((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t')
			fputc(*text, file);
	}
}

void page_element(FILE *file, const char *tag, const char *class, const char *text)
{
	if (text[0] == '\0')
		return;
	fprintf(file, class != NULL ? "<%s class=\"%s\">" : "<%s>", tag, class);
	page_text(file, text);
	fprintf(file, "</%s>\n", tag);
}

void page_begin(FILE *file, const char *title, const char *const *style)
{
	fprintf(file, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
		      "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>");
	page_text(file, title);
	fprintf(file, "</title>\n<style>\n");
	page_lines(file, page_style);
	page_lines(file, style);
	fprintf(file, "</style></head>\n<body>\n");
}

void page_end(FILE *file)
{
	fprintf(file, "</body></html>\n");
}
