/* SPDX-License-Identifier: MIT */
/* linux/string.h - libc's */
#ifndef QUIRE_LINUX_STRING_H
#define QUIRE_LINUX_STRING_H

#include <linux/compiler.h>

#include <string.h>

#define memzero_explicit(ptr, bytes) explicit_bzero(ptr, bytes)

#endif
