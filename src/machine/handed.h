/* SPDX-License-Identifier: MIT */
/*
 * handed.h - memory that another process has handed over: a file of memory, open there and perhaps here
 *
 * None of these calls allocates, and none changes errno.
 */
#ifndef MACHINE_HANDED_H
#define MACHINE_HANDED_H

#include <stddef.h>
#include <stdint.h>

/* This process's own number, in its own pid namespace; and which namespace that is, 0 if it cannot be told. */
uint32_t handed_pid(void);
uint64_t handed_pids_space(void);
/* A number for the file that process @pid runs: another one after it became another program.  0 if it cannot be
 * told. */
uint64_t handed_program(uint32_t pid);

/* A descriptor of what process @pid has open as @fd, or -errno.  Pair: handed_close(). */
int handed_open(uint32_t pid, uint32_t fd);
void handed_close(int fd);
/* Maps @bytes of it from @from on, shared and writable.  NULL if it is shorter, is not sealed against
 * shrinking, or cannot be mapped. */
void *handed_map(int fd, uint64_t from, size_t bytes);
/* The same of a file on a disk, which has no seals: whoever shortens it ends this process by SIGBUS.  Its blocks are
 * reserved first, so that a full disk does not. */
void *handed_map_file(int fd, uint64_t from, size_t bytes);
void handed_unmap(void *addr, size_t bytes);
/* What ps(1) calls this process: 15 characters at most, and a NUL. */
void handed_name(char name[16]);
/* Makes a mapped range read zero, for everybody, and gives its memory back. */
void handed_empty(void *addr, size_t bytes);

#endif
