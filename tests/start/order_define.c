/* SPDX-License-Identifier: MIT */
/* order_define.c - the variable that order_use.c uses */
#include <quire/percpu.h>

QUIRE_DECLARE_PER_CPU(long, objects);
QUIRE_DEFINE_PER_CPU(long, objects) = 0;
