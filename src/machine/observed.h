/* SPDX-License-Identifier: MIT */
/*
 * observed.h - a file of this process that others read: stat/observe.c
 *
 * The file is in a folder of the user's own, which nobody else can write to, and stays when the process is gone. Its name
 * says which process it was: number, start and pid namespace.  The same stands in the file, where it also says which program the
 * process ran: one that execs keeps its name.
 */
#ifndef MACHINE_OBSERVED_H
#define MACHINE_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which process this is. */
struct observed_process {
	uint32_t pid;	      /* in its own pid namespace */
	uint32_t file;	      /* of this process's files: 1, 2, ... */
	uint64_t start_ticks; /* since boot: field 22 of /proc/PID/stat; 0 if it cannot be told */
	uint64_t pids_space;  /* number of the namespace's file; likewise */
	char command[16];     /* the thread group's name */
	uint64_t program;     /* which file it runs; likewise */
	uint64_t image;	      /* differs from one exec to the next, mostly even of the same file */
};

/* Where in the file it is.  All zero: the file is just being made. */
#define OBSERVED_PROCESS_OFFSET 32u

struct observed_file {
	void *addr;
	size_t bytes;
	unsigned folder;	/* observed_folder() */
	uint64_t device, inode; /* tell it from another of its name */
	struct observed_process process;
};

#define OBSERVED_FOLDERS_NR 2u
#define OBSERVED_PATH_BYTES 512u

/* The path of a folder that this user's files may be in, from 0 on: each is tried if those before it are none.  False: there is
 * none of this number. */
bool observed_folder(char path[OBSERVED_PATH_BYTES], unsigned idx);
/* When a process began; 0 if it has ended, or that cannot be told.  @pid 0: this one. */
uint64_t observed_start_ticks(uint32_t pid);
/*
 * Makes a file of @bytes, with memory for all of it, and maps it.  But for the process it reads zero.  0, or -errno of the last folder:
 * -EPERM if others may write to it.  Ordinary context; some thirty system calls.
 */
int observed_create(struct observed_file *file, size_t bytes);
/* Unmaps it; the file stays. */
void observed_close(struct observed_file *file);
/* The file goes, too, unless it is a parent's. */
void observed_remove(struct observed_file *file);

#endif
