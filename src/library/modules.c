/* SPDX-License-Identifier: MIT */
/* library/modules.c - the modules of this library: the one file that knows them all */
#include <stddef.h>

#include "instance/kind.h"
#include "page/kind.h"
#include "percpu/kind.h"
#include "stat/kind.h"
#include "vmap/kind.h"

const struct module_kind *const module_kinds[] = {
	&instance_kind, &page_kind, &vmap_kind, &percpu_kind, &stat_kind, NULL,
};
