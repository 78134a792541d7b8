/* SPDX-License-Identifier: MIT */
/*
 * instance/kind.h - what an instance knows of a kind of module before it has one
 *
 * Everything goes left to right, so the instance cannot name the modules that live in it: the list of
 * their kinds stands to the right of all (library/modules.c).
 */
#ifndef INSTANCE_KIND_H
#define INSTANCE_KIND_H

struct option_table;

struct module_kind {
	const struct option_table *options;
};

extern const struct module_kind instance_kind;

/* Left to right, the instance's own part first; NULL at the end. */
extern const struct module_kind *const module_kinds[];

#endif
