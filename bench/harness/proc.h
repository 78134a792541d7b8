/* SPDX-License-Identifier: MIT */
/* proc.h - the system's figures for this process, and for time taken from it */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdint.h>
#include <time.h>

uint64_t proc_clock_ns(clockid_t clock);
/* Milliseconds that the hypervisor took from all CPUs since boot (steps of 10). */
uint64_t proc_steal_ms(void);
/*
 * How long the calling thread was ready but had to wait for a CPU.  Sleeping in a lock is not part
 * of it.  UINT64_MAX if the kernel does not say.
 */
uint64_t proc_delay_ns(void);
/* Involuntary switches of the calling thread. */
uint64_t proc_switches(void);
/* Resident memory, exact (not the kernel's batched counter), in KiB. */
uint64_t proc_rss_kib(void);
/* The most that was ever resident, by the kernel's batched counter, in KiB. */
uint64_t proc_peak_rss_kib(void);
/* Page tables of this process, in KiB. */
uint64_t proc_page_table_kib(void);
/* Mappings of this process; 0 if they cannot be read. */
unsigned proc_mappings(void);
/* The number at the beginning of a file; UINT64_MAX if it cannot be read. */
uint64_t proc_file_number(const char *path);
void proc_sleep_ms(unsigned ms);

#endif
