/* SPDX-License-Identifier: MIT */
/*
 * mem.h - addresses, memory behind them, and taking it away in batches
 *
 * Every function: addresses and sizes are multiples of mem_page_bytes(), never 0, unless said.
 *
 * Gather.  gather_begin, any number of gather_unback (content goes, the range stays usable and
 * reads zero) and gather_unmap (an access must fault), gather_finish.  Until finish returns some
 * CPU may still reach the old backing, so frames and addresses may be reused only after it.  On
 * Linux the ranges become vectored process_madvise calls; neighbours are merged; a short return is
 * resumed; locked memory is unlocked of its content with MADV_DONTNEED_LOCKED.
 */
#ifndef MACHINE_MEM_H
#define MACHINE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem_range {
	void *addr;
	size_t bytes;
	int error; /* after finish: 0, or the -errno for which the range was left alone */
};

struct gather {
	struct mem_range *ranges; /* the caller's storage */
	unsigned ranges_nr, ranges_max;
	bool unmap; /* what the ranges collected are for */
};

/* Size of the system's page; constant for the process. */
size_t mem_page_bytes(void);
/* Memory of the machine, or of this process's cgroup if that is less, in bytes. */
uint64_t mem_total_bytes(void);

/* Reserves addresses without memory.  @align_bytes: power of two.  @name shows in
 * /proc/self/maps.  NULL if refused. */
void *mem_reserve(size_t bytes, size_t align_bytes, const char *name);
/* Gives addresses back, with all that is behind them. */
void mem_release(void *addr, size_t bytes);
/* Makes a part of a reservation usable; reads zero; repeating it is harmless.  0 or -ENOMEM. */
int mem_commit(void *addr, size_t bytes, const char *name);
/* Makes a part of a reservation readable: reads zero, costs neither memory nor charge until it is
 * committed.  0 or -errno. */
int mem_commit_readonly(void *addr, size_t bytes, const char *name);
/* Makes it unusable again and gives back its memory and its charge.  0 or -errno. */
int mem_decommit(void *addr, size_t bytes, const char *name);
/* Asks for huge pages behind a range, or for none. */
void mem_advise_huge(void *addr, size_t bytes, bool huge);
/* All memory of the process is locked, so committing populates: grow in small steps. */
bool mem_is_locked(void);

/* Makes every access to a committed range fault, without a mapping of its own where the system can;
 * what was in it is gone.  And usable again: it reads zero.  0 or -ENOMEM. */
int mem_guard(void *addr, size_t bytes);
int mem_unguard(void *addr, size_t bytes);
/* Guards cost no mapping. */
bool mem_guard_works(void);
/* Splits huge pages that stand behind a part of a range only, so that taking it away frees memory. */
void mem_split_huge(void *addr, size_t bytes);

void gather_begin(struct gather *gather, struct mem_range *ranges, unsigned ranges_max);
bool gather_is_full(const struct gather *gather);
void gather_unback(struct gather *gather, void *addr, size_t bytes);
void gather_unmap(struct gather *gather, void *addr, size_t bytes);
/* Returns the bytes taken away; ranges[i].error tells which were not. */
size_t gather_finish(struct gather *gather);
/* After finish: true if the memory at @addr, part of a range that was added, was taken away. */
bool gather_gave_back(const struct gather *gather, const void *addr);

#endif
