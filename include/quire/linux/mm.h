/* SPDX-License-Identifier: MIT */
/* linux/mm.h - pages and memory of any size */
#ifndef QUIRE_LINUX_MM_H
#define QUIRE_LINUX_MM_H

#include <linux/gfp.h>
#include <linux/kvmalloc.h>
#include <linux/mm_types.h>

#endif
