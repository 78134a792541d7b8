/* SPDX-License-Identifier: MIT */
/* module.h - what the host of plug-ins and its modules agree on: docs/examples.md */
#ifndef HOST_MODULE_H
#define HOST_MODULE_H

#include <quire/quire.h>
#include <stdint.h>

#define MODULE_VERSION 1u

struct module {
	uint32_t version; /* MODULE_VERSION */
	/* Once after the module was loaded.  0, or a negative errno: then it is unloaded, and stop() not called. */
	int (*start)(struct quire *q);
	/* For each line, from any number of threads at the same time. */
	void (*take)(const char *line);
	/* No thread is in take(), and none will be.  Frees all that the module has.  Returns the lines it counted, or a
	 * negative errno. */
	int64_t (*stop)(void);
};

/* The one symbol that the host looks for. */
extern const struct module host_module;

#endif
