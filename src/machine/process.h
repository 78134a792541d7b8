/* SPDX-License-Identifier: MIT */
/*
 * process.h - state of the whole process: probes, the list of instances, fork
 *
 * One pthread_atfork.  prepare takes RANK_INSTANCES, then calls prepare of every registered
 * instance in order; parent and child run in the reverse order.
 */
#ifndef MACHINE_PROCESS_H
#define MACHINE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct lock;

struct process_member {
	struct process_member *prev, *next;
	void (*fork_prepare)(struct process_member *member);
	void (*fork_parent)(struct process_member *member);
	void (*fork_child)(struct process_member *member);
};

/*
 * From the first member on, the library that contains this code stays loaded whatever is closed: the
 * worker runs in it, memory that was handed out needs it, and another thread may be in it.
 */
void process_register(struct process_member *member);
void process_unregister(struct process_member *member);
/* Held while the way of counting of a reference is switched: one at a time in a process, as the
 * fence is the process's; fork waits for it, so that no child copies a half-switched one.  On Linux
 * also while the stop hook is set, which is the process's too. */
struct lock *process_switch_lock(void);
/* Possible CPUs: one more than the largest CPU number there can be. */
unsigned process_cpus_possible(void);
/* The calling thread: no other that lives has the same; a child of fork keeps its parent's. */
uint64_t process_thread(void);
/* Current CPU as per-CPU data is indexed (rseq cpu_id, or the system's answer). */
unsigned process_cpu(void);
/* The node of a CPU; 0 where unknown. */
unsigned process_cpu_node(unsigned cpu);
/* Value of an environment variable; NULL in set-user-ID programs. */
const char *process_env(const char *name);
struct quire;
/* The process's own instance: made by @make at the first call, once; NULL if it could not be. */
struct quire *process_default(struct quire *(*make)(void));
/* @q is the process's own no more, if it was: the next call of the above makes another. */
void process_forget_default(struct quire *q);
/* How many libraries were unloaded so far. */
uint64_t process_unloaded_nr(void);
/* @pointer lies in a program or library that is loaded, and reads @value.  No lock may be held. */
bool process_is_loaded(void *const *pointer, const void *value);
/* Prints one line and ends the process with status 2: wrong configuration. */
_Noreturn void process_exit_conf(const char *line);
/* Sets errno of the calling thread: the public edge only. */
void process_set_errno(int error);
/* Why a public call has just refused, for a call that is built on it. */
int process_errno(void);

#endif
