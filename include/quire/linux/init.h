/* SPDX-License-Identifier: MIT */
/* linux/init.h - module_init() and module_exit(): linux/module.h runs them */
#ifndef QUIRE_LINUX_INIT_H
#define QUIRE_LINUX_INIT_H

#include <linux/module.h>

#endif
