/* SPDX-License-Identifier: MIT */
/* scratch.h - a folder for what a group of tests writes: the group's setup and teardown, or a step of them */
#ifndef TESTS_LIB_SCRATCH_H
#define TESTS_LIB_SCRATCH_H

/* Its path, while it is there. */
extern char scratch[];

/* Makes a new one.  Returns 0, or -1 if the system refused. */
int scratch_make(void **state);
/* The same; it is also this process's and its children's XDG_RUNTIME_DIR, so what they show is in there. */
int scratch_make_runtime(void **state);
/* Removes it with all that is in it.  Returns what `rm` said. */
int scratch_remove(void **state);

#endif
