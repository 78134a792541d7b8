/* SPDX-License-Identifier: MIT */
/* stdio.h - what the tests print, on the serial line */
#ifndef BARE_STDIO_H
#define BARE_STDIO_H

#include "machine/bare/console.h"

#define printf console_print
#define _IOLBF 1
#define stdout NULL

/* Lines are written at once. */
#define setvbuf(stream, buffer, mode, bytes) ((void)0)

#endif
