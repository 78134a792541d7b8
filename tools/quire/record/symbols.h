/* SPDX-License-Identifier: MIT */
/* symbols.h - the names of the kernel's functions, from a file such as /proc/kallsyms */
#ifndef QUIRE_TOOL_SYMBOLS_H
#define QUIRE_TOOL_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct symbol {
	uint64_t address;
	size_t name; /* where it begins in the text */
};

struct symbols {
	struct symbol *symbols; /* by address */
	size_t nr;
	char *text;
};

/* Without the file, or where it hides the addresses, there are none.  0 or -ENOMEM. */
int symbols_read(struct symbols *symbols, const char *path);
/* The function that has the address; empty if that is not known. */
const char *symbols_find(const struct symbols *symbols, uint64_t address);
void symbols_fini(struct symbols *symbols);

#endif
