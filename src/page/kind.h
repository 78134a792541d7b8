/* SPDX-License-Identifier: MIT */
/* page/kind.h - what the list of modules needs of this one */
#ifndef PAGE_KIND_H
#define PAGE_KIND_H

#include "instance/kind.h"

extern const struct module_kind page_kind; /* instance.c */
extern const struct option_table page_options;

#endif
