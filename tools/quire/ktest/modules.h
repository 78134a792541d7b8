/* SPDX-License-Identifier: MIT */
/* modules.h - which modules of a kernel tree are tests of what Quire has, and how one is built and run */
#ifndef QUIRE_TOOL_KTEST_MODULES_H
#define QUIRE_TOOL_KTEST_MODULES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define PARAMETERS_MAX 32

/* A module that a kernel tree may have, in whatever folder of known_folders. */
struct known_module {
	const char *file;
	const char *parameters[4]; /* to be run with; NULL ends them */
	const char *skipped;	   /* why it is not built, or NULL */
};

extern const struct known_module known_modules[]; /* a file of NULL ends it */
extern const char *const known_folders[];	  /* NULL ends it */

/* The row of a path's last part, or NULL. */
const struct known_module *known_module_of(const char *path);

/* What modules are built with. */
struct kit {
	const char *compiler;
	char headers[PATH_MAX]; /* has quire/linux */
	char library[PATH_MAX]; /* the folder of libquire */
	char malloc[PATH_MAX];	/* libquire-malloc: kmalloc() */
	char work[PATH_MAX];	/* a folder of this process's own */
};

/* @headers may be NULL.  False, with one line in @error: something is missing. */
bool kit_find(struct kit *kit, const char *headers, char *error, size_t error_bytes);
void kit_end(struct kit *kit);

/* What a compiler or a module has printed, and how it ended. */
struct ran {
	char *text;	/* freed by the caller; never NULL */
	bool is_ok;	/* status 0 */
	char ended[64]; /* "exit status 1" */
};

/* Compiles @source to a program of the kit's folder.  0 or -errno: it could not even be tried. */
int module_build(const struct kit *kit, const char *source, struct ran *ran);
/* Runs that program. */
int module_run(const struct kit *kit, const char *const *parameters, struct ran *ran);

#endif
