/* SPDX-License-Identifier: MIT */
/* unnamed.h - a file for what a recording needs until it is written: beside it, where there is to be room */
#ifndef QUIRE_TOOL_RECORD_UNNAMED_H
#define QUIRE_TOOL_RECORD_UNNAMED_H

/* An empty file that has no name, in the directory of @beside; -1 with errno. */
int unnamed_open(const char *beside);

#endif
