/* SPDX-License-Identifier: MIT */
/* malloc/linux/module.c - see module.h */
#include "malloc/linux/module.h"

#include <dlfcn.h>
#include <link.h>

bool module_find(struct module *module)
{
#if __GLIBC_PREREQ(2, 35)
	struct dl_find_object found; /* made for this, as dl_iterate_phdr() is not */

	if (_dl_find_object((void *)(uintptr_t)module->pc, &found) != 0)
		return false;
	module->offset = module->pc - found.dlfo_link_map->l_addr;
	module->name = found.dlfo_link_map->l_name;
	return true;
#else
	(void)module;
	return false;
#endif
}
