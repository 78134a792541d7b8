/* SPDX-License-Identifier: MIT */
/*
 * malloc/run_again.h - the environment with which a program that `quire run` started becomes another one
 *
 * Without --children the libraries are taken out of the environment before main(), so that children do not
 * inherit them; what the process itself becomes by exec needs them again.  A second library, which is loaded only
 * then, stands before the exec calls and puts them back.  The command tells it how:
 *
 *	QUIRE_RUN_EXEC=REQUEST PRELOAD[ CONF]
 *
 * REQUEST   QUIRE_RUN up to the comma before BEFORE (run_environment.h); no space is in it
 * PRELOAD   what the command prepended to LD_PRELOAD; no space is in it
 * CONF      QUIRE_CONF as the command set it, if it did
 */
#ifndef MALLOC_RUN_AGAIN_H
#define MALLOC_RUN_AGAIN_H

#include <stdbool.h>
#include <stddef.h>

#define RUN_AGAIN_VARIABLE "QUIRE_RUN_EXEC"

struct run_again {
	const char *value; /* the caller's, which all below point into */
	const char *preload;
	size_t request_bytes, preload_bytes;
	const char *conf; /* or NULL */
};

/*
 * Takes the variable out of @environment, the process's own array (NULL: an empty one), and returns its value, or
 * NULL if it is not there.  The value is in the environment's text, which programs overwrite once they have moved it
 * (for a title, say): what is needed after main() began must be a copy.
 */
const char *run_again_take(char **environment);

/* Reads @value, which must stay as it is.  False: it is not what the command writes. */
bool run_again_parse(const char *value, struct run_again *again);

/*
 * What @environment (NULL: an empty one) must be for the libraries to be loaded again.  Points to its entries, and
 * has its own in @memory, whose @bytes run_again_bytes() says.  Both read only what they are given: any context,
 * also in a child that shares its parent's memory.  NULL: another thread changed @environment meanwhile, and it does
 * not fit.
 *
 * Ours are the last: the kernel lays the text out in this order behind the arguments, and a title begins to overwrite it there.
 */
size_t run_again_bytes(const struct run_again *again, char *const *environment);
char **run_again_environment(const struct run_again *again, char *const *environment, void *memory,
			     size_t bytes);

/* True if another `quire run` has written what it wants into @environment. */
bool run_again_is_asked(char *const *environment);

#endif
