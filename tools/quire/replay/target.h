/* SPDX-License-Identifier: MIT */
/*
 * target.h - what a replay runs against, as a table of calls
 *
 * The same loop runs against Quire's lists by CPU number, against its public calls, against nothing
 * (to measure the loop itself), and in the tests against deliberately wrong allocators.
 */
#ifndef QUIRE_TOOL_TARGET_H
#define QUIRE_TOOL_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/page.h>

struct target_request {
	unsigned cpus_nr; /* of the recording */
	bool threads;	  /* its CPUs are threads; otherwise one thread acts for all */
	const char *conf; /* options as in QUIRE_CONF, over the replay's own; NULL if none */
};

/* Makes an instance of @options, over which the request's own are laid.  As open below. */
int target_open_instance(const struct target_request *request, struct quire_options *options,
			 void **heap, char *error, size_t error_bytes);

struct target {
	/* 0 and @heap, or -1 with one line in @error. */
	int (*open)(const struct target_request *request, void **heap, char *error,
		    size_t error_bytes);
	void (*close)(void *heap);
	void *(*alloc)(void *heap, unsigned cpu, unsigned order, unsigned flags);
	void (*free)(void *heap, unsigned cpu, void *addr, unsigned order);
	void (*free_batch)(void *heap, unsigned cpu, size_t count, void **pages);
	void (*split)(void *heap, void *addr, unsigned order, unsigned new_order);
	/* Number of the page at an address: equal distances are equal differences. */
	uint64_t (*page_number)(void *heap, const void *addr);
	void (*read_stat)(void *heap, struct quire_page_stat *stat);
	int (*verify)(void *heap); /* 0, or the label of a broken rule */
};

extern const struct target target_by_number;
extern const struct target target_public;
extern const struct target target_nothing;

#endif
