/* SPDX-License-Identifier: MIT */
/* crossing.h - what one cache line's way to another CPU and back costs on this machine today */
#ifndef BENCH_CROSSING_H
#define BENCH_CROSSING_H

/* ns; 0 if there is only one CPU. */
double crossing_round_trip_ns(void);

#endif
