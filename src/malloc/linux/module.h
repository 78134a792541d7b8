/* SPDX-License-Identifier: MIT */
/* malloc/linux/module.h - the loaded object that an address is in, as addr2line takes it */
#ifndef MALLOC_LINUX_MODULE_H
#define MALLOC_LINUX_MODULE_H

#include <stdbool.h>
#include <stdint.h>

struct module {
	uint64_t pc; /* is in it */
	uint64_t offset;
	const char *name; /* "": the program */
};

/* False where @module->pc is in none, or libc is older than 2.35.  Takes no lock: from a signal handler, too, and in any child
 * of fork. */
bool module_find(struct module *module);

#endif
