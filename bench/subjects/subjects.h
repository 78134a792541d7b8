/* SPDX-License-Identifier: MIT */
/* subjects.h - what can be measured; libc stands for each library that is preloaded */
#ifndef BENCH_SUBJECTS_H
#define BENCH_SUBJECTS_H

#include "harness/runner.h"

extern const struct subject subject_quire;
extern const struct subject subject_floor;
extern const struct subject subject_libc;
extern const struct subject subject_mmap;

#endif
