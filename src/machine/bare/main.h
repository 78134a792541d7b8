/* SPDX-License-Identifier: MIT */
/* main.h - the program that the machine runs */
#ifndef MACHINE_BARE_MAIN_H
#define MACHINE_BARE_MAIN_H

/* On the first thread, when all CPUs run; the machine ends with what it returns as status. */
int bare_main(void);

#endif
