/* SPDX-License-Identifier: MIT */
/* process.h - what the loader has told, and the calling thread's errno */
#ifndef MACHINE_BARE_PROCESS_H
#define MACHINE_BARE_PROCESS_H

/* The command line: NAME=VALUE, separated by spaces.  It is cut into strings, and must stay. */
void process_set_command_line(char *line);

/* errno of C programs on this machine. */
int *process_errno_place(void);

#endif
