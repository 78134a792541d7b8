/* SPDX-License-Identifier: MIT */
/* pin.h - the CPUs that this process may use, and pinning threads to one */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

#include <stdbool.h>

/* The @n-th CPU this process may run on, or -1. */
int pin_cpu(unsigned n);
/* Pins the calling thread to @cpu. */
bool pin_self(int cpu);

#endif
