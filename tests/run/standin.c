/* SPDX-License-Identifier: MIT */
/*
 * standin.c - a preloaded library that only says what malloc would: known figures, before main()
 *
 * So what `quire run` makes of figures can be compared with what was written, to the byte.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "malloc/report.h"
#include "malloc/run_environment.h"

#define SMALL_ROW 4u
#define LARGE	  ((size_t)3 << 20)

static void count(struct report_part *part)
{
	for (unsigned i = 0; i < 1000; i++) {
		report_call(part, i, i % 10 == 0);
		report_hold(part, i, SMALL_ROW, 64);
	}
	report_hold(part, 0, report_large_row(LARGE), LARGE);
	report_drop(part, 0, report_large_row(LARGE), LARGE);
	for (unsigned i = 0; i < 900; i++)
		report_drop(part, 0, SMALL_ROW, 64);
	part->given_back_bytes = 12345678;
}

static struct report_part *own_part;

static void follow_fork(void)
{
	own_part = report_begin(own_part);
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *dso);

static __attribute__((constructor)) void begin(int argc, char **argv, char **environment)
{
	(void)argc;
	(void)argv;
	if (getenv("STANDIN_STAYS_AWAY") != NULL)
		return;
	own_part = report_begin(NULL);
	if (own_part != NULL) {
		count(own_part);
		(void)__register_atfork(NULL, NULL, follow_fork, NULL);
	}
	run_environment_restore(environment);
}
