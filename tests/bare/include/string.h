/* SPDX-License-Identifier: MIT */
/* string.h - the core's three functions */
#ifndef BARE_STRING_H
#define BARE_STRING_H

#include "base/mem.h"

#endif
