/* SPDX-License-Identifier: MIT */
/*
 * instance/kind.h - kinds of modules, and what an instance knows of each
 *
 * Includes go left only, so the instance cannot name the modules that live in it.  The list of
 * their kinds is therefore in the rightmost layer (library/modules.c).
 */
#ifndef INSTANCE_KIND_H
#define INSTANCE_KIND_H

#include <stddef.h>

struct option_table;
struct quire;

struct module_kind {
	const struct option_table *options;
	/*
	 * Only the kind of the module that an instance is created with (pages) has these; the others'
	 * modules are made at their first use.  That module's own struct begins with struct quire.
	 */
	size_t (*struct_bytes)(void);	/* size of its struct, and of what stands behind it */
	size_t struct_offset;		/* of the struct in its first page */
	int (*create)(struct quire *q); /* makes it, and registers it: 0 or -errno */
};

extern const struct module_kind instance_kind;

/* In the order of layers, the instance's own kind first.  Ends with NULL. */
extern const struct module_kind *const module_kinds[];

#endif
