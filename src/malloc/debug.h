/* SPDX-License-Identifier: MIT */
/* malloc/debug.h - debug:on, a layer (layer.h) that looks for misuse of each block: debug.c, leaks.c */
#ifndef MALLOC_DEBUG_H
#define MALLOC_DEBUG_H

#include <stdint.h>

struct malloc_layer;
struct traces;

/* The layer, above @below; or @below with a line that says so if the system refuses addresses.  Before the heap has
 * classes. */
const struct malloc_layer *malloc_debug_begin(const struct malloc_layer *below);
/* In a child of fork: what there is is the parent's. */
void malloc_debug_fork_child(void);
/* At the end of the process: looks at what waits, and reports blocks that nobody freed. */
void malloc_debug_end(void);

/* Of calls that allocated and freed. */
extern struct traces malloc_debug_traces __attribute__((visibility("hidden")));

/* ---- leaks.c ---- */

/* Blocks of this generation (records.h). */
void leaks_report(uint32_t generation);

/* ---- linux/debug_log.c ---- */

/* Learns where reports go: the file that QUIRE_DEBUG_LOG names, else stderr as it is now. */
void debug_log_begin(void);
/* One line; what cannot be written is lost. */
void debug_log(const char *line);
/* Of the process, for a report's first line. */
uint32_t debug_log_process(void);

#endif
