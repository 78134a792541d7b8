/* SPDX-License-Identifier: MIT */
/* crossing.h - the time for one cache line to travel to another CPU and back, on this machine now */
#ifndef BENCH_CROSSING_H
#define BENCH_CROSSING_H

/* Returns ns, or 0 if there is only one CPU. */
double crossing_round_trip_ns(void);

#endif
