/* SPDX-License-Identifier: MIT */
/*
 * profile.h - a profile of what malloc() has handed out, by sampling
 *
 * These calls belong to Quire's malloc: libquire-malloc.so, libquire++.so and quire-malloc.o have them, libquire.so has not.  They are
 * weak: in a program that runs on another malloc each is NULL, so look before you call.
 *
 *	if (quire_profile_start != NULL && quire_profile_start(0) == 0)
 *		...
 *
 * docs/profile.md says what the figures mean.
 */
#ifndef QUIRE_PROFILE_H
#define QUIRE_PROFILE_H

#include <stddef.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

#define QUIRE_PROFILE_WEAK_ __attribute__((weak))

/**
 * quire_profile_start - begin to sample blocks
 * @mean_bytes:	so many bytes apart on average, rounded up to a power of two from 16 KiB to 64 MiB; 0 means 512 KiB
 *
 * What was sampled before stays in the profile.  If it is on already, the mean changes.
 *
 * Returns   0, or
 *             -ENOTSUP  debug, hardened, sample or quire record look at blocks; or the process is a child of fork of one
 *                       under `quire run --profile`, whose profile is the program's alone
 *             -ENOMEM   the system refused addresses, or it is too early in the process
 *             -EBUSY    another thread, or the code that this handler interrupted, starts or stops it
 * Context   any thread, signal handlers included.
 * Cost      the first call some 20 system calls.  From then on every malloc() is some nanoseconds slower, and a sample
 *           takes a walk of the stack.
 * Pair      quire_profile_stop().
 */
QUIRE_PROFILE_WEAK_ int quire_profile_start(size_t mean_bytes);

/**
 * quire_profile_stop - sample no more
 *
 * malloc() is as fast as ever again.  Blocks that were sampled are still seen when they are freed.
 *
 * Returns   0, also if it was not on; or -EBUSY as above.
 * Context   any thread, signal handlers included.
 * Cost      a few stores.
 * Pair      quire_profile_start().
 */
QUIRE_PROFILE_WEAK_ int quire_profile_stop(void);

/**
 * quire_profile_write - write the profile
 * @path:	file, which is replaced as a whole or not at all
 *
 * A file as pprof reads it, compressed by gzip's rules, with four figures for each stack: alloc_objects, alloc_space,
 * inuse_objects and inuse_space.  It can be on or not.
 *
 * Returns   0, or
 *             -ENODATA       it was never on
 *             -EBUSY         another call writes
 *             -ENAMETOOLONG  @path has no room
 *             any other      what the system said of the file
 * Context   any thread, signal handlers included.  Allocates nothing from malloc().
 * Cost      reads /proc/self/maps and all stacks; some milliseconds for a thousand.
 */
QUIRE_PROFILE_WEAK_ int quire_profile_write(const char *path);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop

#endif
