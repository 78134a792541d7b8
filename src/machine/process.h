/* SPDX-License-Identifier: MIT */
/*
 * process.h - state of the whole process: probes, the list of instances, fork
 *
 * One pthread_atfork.  prepare takes RANK_DEFAULT and RANK_INSTANCES, then calls prepare of every
 * registered instance in order; parent and child run in the reverse order.
 */
#ifndef MACHINE_PROCESS_H
#define MACHINE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/lock.h"

struct quire;

struct process_member {
	struct process_member *prev, *next;
	void (*fork_prepare)(struct process_member *member);
	void (*fork_parent)(struct process_member *member);
	void (*fork_child)(struct process_member *member);
};

/*
 * From the first call on, the library that contains this code stays loaded even after dlclose():
 * the worker runs in it, allocated memory depends on it, and another thread may be executing it.
 */
void process_register(struct process_member *member);
void process_unregister(struct process_member *member);
/* Held while a reference switches how it counts: one at a time in a process, since the fence covers
 * the whole process.  Fork waits for it, so no child copies a half-switched reference.  On Linux it
 * is also held while the stop hook is set, which is process-wide too. */
struct lock *process_switch_lock(void);
/* The right to call the program's shrinkers (instance/shrinker.c).  Fork does not take it; in the child it is
 * free unless the forking thread has it. */
struct process_turn {
	struct mutex mutex;
	uint64_t thread; /* atomic: that has it for a call; 0: none */
	struct quire *q; /* whose shrinkers are called; stale if none is */
};
struct process_turn *process_turn(void);
/* Bytes that nobody can predict: the system's, or what the process was given at its start where those are refused. */
void process_random(void *bytes, size_t n);
/* Possible CPUs: the largest possible CPU number plus one. */
unsigned process_cpus_possible(void);

/* What bounds the CPUs that the process can keep busy. */
enum process_cpus_source {
	CPUS_POSSIBLE,
	CPUS_ALLOWED, /* affinity, cpusets */
	CPUS_QUOTA,   /* the cgroup's cpu.max, in whole CPUs, rounded up */
};
struct process_cpus {
	unsigned nr;
	enum process_cpus_source source;
};
/* As it is now.  Reads files. */
struct process_cpus process_cpus_read(void);
/* Identifies the calling thread among those that exist.  A child of fork keeps its parent's
 * value. */
uint64_t process_thread(void);
/* Current CPU as per-CPU data is indexed (rseq cpu_id, or the system's answer). */
unsigned process_cpu(void);
/* The node of a CPU; 0 where unknown. */
unsigned process_cpu_node(unsigned cpu);
/* Value of an environment variable; NULL in set-user-ID programs. */
const char *process_env(const char *name);
/* Options for all processes of the machine, and for the program: instance/conf.c.  The first reads the file, as far as there is
 * room for it and a NUL, and returns its bytes or -errno; the second is NULL if the program says nothing. */
#define PROCESS_CONF_FILE "/etc/quire.conf"
long process_conf_file(char *buffer, size_t bytes);
const char *process_conf_symbol(void);
/* The process's own instance.  The first call creates it with @make; NULL if that failed, and the
 * next call tries again. */
struct quire *process_default(struct quire *(*make)(void));
/* If @q is the process's own instance, forgets it: the next process_default() creates another. */
void process_forget_default(struct quire *q);
/* How many libraries have been unloaded so far. */
uint64_t process_unloaded_nr(void);
/* True if @pointer lies in a loaded program or library and contains @value.  The caller holds none
 * of Quire's locks. */
bool process_is_loaded(void *const *pointer, const void *value);
/* Prints one line and ends the process with status 2: wrong configuration. */
_Noreturn void process_exit_conf(const char *line);
/* Sets errno of the calling thread: the public edge only. */
void process_set_errno(int error);
/* The errno that a public call has just set, for a public call that is built on it. */
int process_errno(void);

#endif
