/* SPDX-License-Identifier: MIT */
/*
 * backing.h - the only door to the system calls that map and unmap memory
 *
 * Each returns the result of the system call, or -errno.  After a refusal the old mapping is still
 * there: unchanged, or, except for backing_map_none(), inaccessible and empty.
 *
 * Tests can make calls fail: the n-th call from now on, once or permanently, a call after it has
 * unmapped the old mapping, or a vectored call after some of its ranges.  They can also delay a
 * call.  While this is off, it costs at most three relaxed loads and one count per system call.
 */
#ifndef MACHINE_LINUX_BACKING_H
#define MACHINE_LINUX_BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Advice that older headers lack. */
#define BACKING_DONTNEED_LOCKED 24
#define BACKING_GUARD_INSTALL	102
#define BACKING_GUARD_REMOVE	103

/* Maps anonymous private memory that is inaccessible and not charged; at @addr if that is not NULL,
 * replacing the mapping there.  Returns the address, or -errno. */
intptr_t backing_map_none(void *addr, size_t bytes);
/* Maps anonymous private memory for use; @addr as above. */
intptr_t backing_map_fresh(void *addr, size_t bytes);
/* Creates an unnamed file of @bytes, which read zero and use no memory.  Returns its descriptor, or
 * -errno. */
int backing_make_file(const char *name, size_t bytes);
/* Maps such a file, inaccessible; otherwise as backing_map_none(). */
intptr_t backing_map_file(void *addr, size_t bytes, int file);
/* Maps the shared memory that is mapped at @frames also at @addr, replacing the mapping there. */
intptr_t backing_map_again(void *addr, void *frames, size_t bytes);
/* Moves the private memory at @from to @addr, replacing the mapping there; @from stays mapped, and empty. */
intptr_t backing_move(void *addr, void *from, size_t bytes);
int backing_unmap(void *addr, size_t bytes);
int backing_protect(void *addr, size_t bytes, int protection);
int backing_advise(void *addr, size_t bytes, int advice);
/* The bytes advised, possibly fewer than asked for, or -errno. */
intptr_t backing_advise_vector(int pidfd, const struct iovec *ranges, size_t ranges_nr, int advice);

/* ---- for tests ---- */

/* The @nth call from now (1: the next) is not made and returns -@error, once.  0: none. */
void backing_fail_after(uint64_t nth, int error);
/* The @nth call from now and all after it, until the next backing_fail_*(). */
void backing_fail_from(uint64_t nth, int error);
/* The next call that replaces a mapping unmaps it and then returns -@error, as the system may
 * do. */
void backing_fail_late(int error);
/* The next vectored call stops after @ranges_nr ranges, as if the one after had been refused;
 * for 0 it is refused with -@error.  The refused range itself is valid. */
void backing_stop_after(size_t ranges_nr, int error);
/* The @nth call from now waits for backing_go_on() before it is made, so its caller stays in the
 * middle of an operation.  Once; backing_is_holding() returns true while it waits. */
void backing_hold_at(uint64_t nth);
bool backing_is_holding(void);
void backing_go_on(void);
/* Calls since the process began, the failed ones included. */
uint64_t backing_calls_nr(void);

#endif
