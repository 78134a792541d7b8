/* SPDX-License-Identifier: MIT */
/* crossing.h - the time that one cache line now takes to another CPU and back */
#ifndef BENCH_CROSSING_H
#define BENCH_CROSSING_H

/* Returns ns, or 0 if there is only one CPU. */
double crossing_round_trip_ns(void);

#endif
