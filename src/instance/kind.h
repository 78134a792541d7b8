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
	 * Only the kind of the module that is created with the instance (pages) has these three; the other
	 * modules are created at their first use.  That module's struct begins with struct quire.
	 */
	size_t (*own_bytes)(void);	/* size of its struct and of what follows it */
	size_t struct_offset;		/* where the struct begins in its first page */
	int (*create)(struct quire *q); /* creates and registers it: 0 or -errno */
	/* NULL, or called once a new instance is complete, before anybody else knows it. */
	void (*begin)(struct quire *q);
};

extern const struct module_kind instance_kind;

/* In the order of layers, the instance's own kind first.  Ends with NULL. */
extern const struct module_kind *const module_kinds[];

#endif
