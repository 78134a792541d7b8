/* SPDX-License-Identifier: MIT */
/* linux/export.h - names that a module gives to others: linux/module.h has them */
#ifndef QUIRE_LINUX_EXPORT_H
#define QUIRE_LINUX_EXPORT_H

#include <linux/module.h>

#endif
