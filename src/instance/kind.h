/* SPDX-License-Identifier: MIT */
/*
 * instance/kind.h - kinds of modules, and what an instance knows of each
 *
 * Includes go left only, so the instance cannot name the modules that live in it.  The list of
 * their kinds is therefore in the rightmost layer (library/modules.c).
 */
#ifndef INSTANCE_KIND_H
#define INSTANCE_KIND_H

struct option_table;

struct module_kind {
	const struct option_table *options;
};

extern const struct module_kind instance_kind;

/* In the order of layers, the instance's own kind first.  Ends with NULL. */
extern const struct module_kind *const module_kinds[];

#endif
