/* SPDX-License-Identifier: MIT */
/* percpu_shared.h - a variable that one file of a module defines and another one uses */
#ifndef LINUX_PERCPU_SHARED_H
#define LINUX_PERCPU_SHARED_H

#include <linux/percpu.h>

DECLARE_PER_CPU(unsigned, of_two_files);

void add_in_another_file(unsigned amount);
unsigned *where_another_file_finds_it(unsigned cpu);

#endif
