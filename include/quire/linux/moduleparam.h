/* SPDX-License-Identifier: MIT */
/* linux/moduleparam.h - parameters of a module: linux/module.h has them */
#ifndef QUIRE_LINUX_MODULEPARAM_H
#define QUIRE_LINUX_MODULEPARAM_H

#include <linux/module.h>

#endif
