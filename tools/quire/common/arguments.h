/* SPDX-License-Identifier: MIT */
/* arguments.h - what the commands' arguments have in common */
#ifndef QUIRE_TOOL_ARGUMENTS_H
#define QUIRE_TOOL_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

/* Before getopt_long(): forgets an earlier scan, and has it print nothing. */
void arguments_begin(void);
/* Says that an option is wrong, and which of a NULL-terminated list is nearest. */
void argument_refuse(const char *command, const char *argument, const char *const *names);
/* A whole number from 1 to INT32_MAX, without sign; 0: it is none. */
uint32_t argument_number(const char *text);
/* What is left of a command line: no word, or a process's number, into @pid.  False, said, if it is anything else. */
bool argument_pid(const char *command, char *const *words, uint32_t *pid);

#endif
