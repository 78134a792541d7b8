/* SPDX-License-Identifier: MIT */
/*
 * malloc/run_environment.h - the variables that `quire run` sets, and how the library takes them back
 *
 * The command prepends the library to LD_PRELOAD, with "once" also a second one (run_again.h), sets QUIRE_CONF if
 * asked, and tells the library so:
 *
 *	QUIRE_RUN=MODE,PID,FD,COOKIE,BEFORE
 *
 * MODE      "once": only this program runs on Quire, so the library restores all variables before main(),
 *           and the program's children find what the command found; "all": children inherit them
 * PID, FD   of the command and of the shared memory in it, which is FD in the program, too; 0,0: none
 * COOKIE    in hexadecimal; the shared memory begins with it, or it is somebody else's
 * BEFORE    the whole entry "QUIRE_CONF=..." as it was, "QUIRE_CONF" if it was not set, or nothing if it was
 *           not touched
 */
#ifndef MALLOC_RUN_ENVIRONMENT_H
#define MALLOC_RUN_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the command puts into LD_PRELOAD with "once". */
#define RUN_PRELOADS_NR 2

struct run_request {
	bool once;
	uint32_t pid, fd;
	uint64_t cookie;
	const char *before; /* in the variable's own text */
};

/* False: @value is not what the command writes; nothing may be believed of it then. */
bool run_request_parse(const char *value, struct run_request *request);

/*
 * Restores @environment, the process's own NULL-terminated array, if `quire run` changed it for this program
 * only.  Before main(), after malloc has read its options.
 */
void run_environment_restore(char **environment);

/* The value, if @entry is the variable's; or NULL. */
const char *run_variable_value(const char *entry, const char *name);
/* The place of the variable's entry in @environment, or of the NULL that ends it. */
size_t run_variable_place(char *const *environment, const char *name);
/* Takes the entry out of its environment: those behind it move up. */
void run_variable_drop(char **entry);

#endif
