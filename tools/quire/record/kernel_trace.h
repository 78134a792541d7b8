/* SPDX-License-Identifier: MIT */
/*
 * kernel_trace.h - an own tracing instance, and a thread for each CPU that keeps its raw pages
 *
 * An instance has its own buffers and switches, so recording disturbs nobody else who traces.  It is
 * named after the recorder's process, which holds a lock on its directory: an instance without that lock
 * was left behind by a recorder that was killed, and the next one removes it.
 */
#ifndef QUIRE_TOOL_KERNEL_TRACE_H
#define QUIRE_TOOL_KERNEL_TRACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record/kernel_events.h"

struct tracefs_instance;

struct kernel_reader {
	pthread_t thread;
	struct kernel_trace *trace;
	int from, to; /* the raw pages, the spool */
	pid_t tid;
	int error;
	bool is_started;
};

struct kernel_trace {
	struct tracefs_instance *instance;
	int directory;		       /* holds the lock */
	struct kernel_reader *readers; /* by CPU */
	uint32_t cpus_nr;
	size_t page_bytes;
	_Atomic bool stops;
	_Atomic bool has_failed;   /* a reader could not go on */
	_Atomic uint64_t bytes_nr; /* spooled so far */
	uint64_t lost_nr;	   /* events, as the kernel counts them; once it is stopped */
};

/* Where tracefs is mounted: QUIRE_TRACEFS, or as the system says; NULL after saying what is needed. */
const char *kernel_trace_directory(void);
/*
 * Makes the instance with its events, switched off.  @buffer_bytes: of each CPU.  @beside: the spools are
 * in its directory.  0, or -1 after saying what is wrong.  Pair: kernel_trace_close(), always.
 */
int kernel_trace_open(struct kernel_trace *trace, const char *directory,
		      const struct kernel_formats *formats, uint64_t buffer_bytes,
		      const char *beside);
/* 0, or -1 after saying what is wrong. */
int kernel_trace_start(struct kernel_trace *trace);
/* Switches off, waits until all is spooled, and removes the instance.  0, or -1 after saying what is wrong. */
int kernel_trace_stop(struct kernel_trace *trace);
/* Removes the instance if that was not done, and closes the spools. */
void kernel_trace_close(struct kernel_trace *trace);

/* Sets a mark in each instance that is recording: how many there were, or -1 after saying what is
 * wrong. */
int kernel_trace_mark(const char *directory, const char *name);

#endif
