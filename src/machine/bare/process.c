/* SPDX-License-Identifier: MIT */
/*
 * process.c - the one program of this machine (machine/process.h)
 *
 * The environment is the command line.  There are no files, no other programs, no libraries and no fork, so nobody asks
 * for a list of instances.
 */
#include "machine/process.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/keyed.h"
#include "base/text.h"
#include "machine/atomic.h"
#include "machine/bare/console.h"
#include "machine/bare/cpus.h"
#include "machine/bare/process.h"
#include "machine/bare/x86.h"
#include "machine/clock.h"
#include "machine/linux/hook.h"
#include "machine/linux/thread.h"

#define ENOENT 2

static struct {
	struct mutex making;
	struct lock switching;
	struct process_turn turn;
	struct quire *own; /* atomic, written under making */
	const char *line;
	const char *line_end;
} process = {
	.making = { .rank = RANK_DEFAULT },
	.switching = { .rank = RANK_SWITCH },
	.turn = { .mutex = { .rank = RANK_TURN } },
};

/* Aligned as the linker script and threads.c expect of thread-local data. */
static _Thread_local int thread_errno __attribute__((aligned(64)));

extern const char image_start[], image_end[];

uint64_t clock_now_ns(void)
{
	return cpus_now_ns();
}

void process_register(struct process_member *member)
{
	(void)member;
}

void process_unregister(struct process_member *member)
{
	(void)member;
}

struct lock *process_switch_lock(void)
{
	return &process.switching;
}

struct process_turn *process_turn(void)
{
	return &process.turn;
}

/* From the time alone: nobody on this machine is to be kept from guessing. */
void process_random(void *bytes, size_t n)
{
	static uint64_t calls; /* atomic */
	const struct key key = { { clock_ticks(), cpus_now_ns() } };
	unsigned char *at = bytes;

	for (size_t i = 0; i < n; i++)
		at[i] = (unsigned char)keyed_hash(&key, fetch_add_relaxed(&calls, 1));
}

unsigned process_cpus_possible(void)
{
	return cpus_nr();
}

struct process_cpus process_cpus_read(void)
{
	return (struct process_cpus){ .nr = cpus_nr(), .source = CPUS_POSSIBLE };
}

uint64_t process_thread(void)
{
	return (uintptr_t)&machine_thread;
}

unsigned process_cpu(void)
{
	return cpus_here()->number;
}

unsigned process_cpu_node(unsigned cpu)
{
	(void)cpu;
	return 0;
}

void process_set_command_line(char *line)
{
	char *at = line;

	process.line = line;
	for (; *at != '\0'; at++)
		if (*at == ' ')
			*at = '\0';
	process.line_end = at;
}

const char *process_env(const char *name)
{
	for (const char *at = process.line; at < process.line_end; at++) {
		const char *wanted = name;

		while (*at != '\0' && *at == *wanted) {
			at++;
			wanted++;
		}
		if (*wanted == '\0' && *at == '=')
			return at + 1;
		while (*at != '\0')
			at++;
	}
	return NULL;
}

long process_conf_file(char *buffer, size_t bytes)
{
	(void)buffer;
	(void)bytes;
	return -ENOENT;
}

const char *process_conf_symbol(void)
{
	return NULL;
}

struct quire *process_default(struct quire *(*make)(void))
{
	struct quire *q;

	mutex_acquire(&process.making);
	q = load_relaxed(&process.own);
	if (q == NULL) {
		q = make();
		store_relaxed(&process.own, q);
	}
	mutex_release(&process.making);
	return q;
}

void process_forget_default(struct quire *q)
{
	mutex_acquire(&process.making);
	if (process.own == q)
		process.own = NULL;
	mutex_release(&process.making);
}

uint64_t process_unloaded_nr(void)
{
	return 0;
}

bool process_is_loaded(void *const *pointer, const void *value)
{
	const char *at = (const char *)pointer;

	return at >= image_start && at < image_end && *pointer == value;
}

void process_exit_conf(const char *line)
{
	console_print("%s\n", line);
	console_end(CONSOLE_FAILED);
}

void process_set_errno(int error)
{
	thread_errno = error;
}

int process_errno(void)
{
	return thread_errno;
}

int *process_errno_place(void)
{
	return &thread_errno;
}

/* ---- the end ---- */

unsigned check_cpu(void)
{
	return process_cpu();
}

void check_die(const struct quire_stop *stop)
{
	size_t bytes = 0;

	while (stop->line[bytes] != '\0')
		bytes++;
	console_write(stop->line, bytes);
	hook_call(stop);
	console_end(CONSOLE_FAILED);
}
