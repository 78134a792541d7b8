/* SPDX-License-Identifier: MIT */
/*
 * process.c - the process around the core: CPUs, members, fork, and the end
 *
 * A run follows a fork into one process: the parent, where all tasks continue, or the child, where
 * every other task has vanished in the middle of a step, with everything it held.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "machine/lock.h"
#include "machine/observed.h"
#include "machine/process.h"
#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

static struct mutex making = { .rank = RANK_DEFAULT };
static struct mutex instances = { .rank = RANK_INSTANCES };
static struct process_turn turn = { .mutex = { .rank = RANK_TURN } };
static struct lock switching = { .rank = RANK_SWITCH };
static lock_token switching_token; /* during a fork */

static struct process_member *first_member(void)
{
	return sim_run_.process_first;
}

void process_register(struct process_member *member)
{
	mutex_acquire(&instances);
	UNDO(*member);
	member->prev = NULL;
	member->next = first_member();
	if (member->next != NULL) {
		UNDO(member->next->prev);
		member->next->prev = member;
	}
	sim_run_.process_first = member;
	mutex_release(&instances);
}

void process_unregister(struct process_member *member)
{
	mutex_acquire(&instances); /* waits for a fork */
	if (member->next != NULL) {
		UNDO(member->next->prev);
		member->next->prev = member->prev;
	}
	if (member->prev != NULL) {
		UNDO(member->prev->next);
		member->prev->next = member->next;
	} else {
		sim_run_.process_first = member->next;
	}
	mutex_release(&instances);
}

struct lock *process_switch_lock(void)
{
	return &switching;
}

struct process_turn *process_turn(void)
{
	return &turn;
}

unsigned process_cpus_possible(void)
{
	return sim_opt.cpus_nr;
}

struct process_cpus process_cpus_read(void)
{
	return (struct process_cpus){ .nr = sim_opt.cpus_nr, .source = CPUS_POSSIBLE };
}

uint64_t process_thread(void)
{
	return sim_run_.current + 1u;
}

/* The same in each run, so that a run can be repeated. */
void process_random(void *bytes, size_t n)
{
	sim_log_write(bytes, n);
	for (size_t i = 0; i < n; i++)
		((unsigned char *)bytes)[i] = (unsigned char)(37 * i + 11);
}

unsigned process_cpu(void)
{
	sched_point(POINT_LOAD, current_task(), 1, CALLER_PC);
	return current_task()->cpu;
}

unsigned process_cpu_node(unsigned cpu)
{
	(void)cpu;
	return 0;
}

void sim_set_variable(const char *name, const char *value)
{
	sim_run_.variable = name;
	sim_run_.value = value;
}

long process_conf_file(char *buffer, size_t bytes)
{
	(void)buffer;
	(void)bytes;
	return 0;
}

const char *process_conf_symbol(void)
{
	return NULL;
}

const char *process_env(const char *name)
{
	return sim_run_.variable != NULL && strcmp(name, sim_run_.variable) == 0 ? sim_run_.value
										 : NULL;
}

/* Most scenarios make their own instances; malloc's is the process's. */
struct quire *process_default(struct quire *(*make)(void))
{
	mutex_acquire(&making);
	if (sim_run_.process_own == NULL)
		sim_run_.process_own = make();
	mutex_release(&making);
	return sim_run_.process_own;
}

void process_forget_default(struct quire *q)
{
	mutex_acquire(&making);
	if (sim_run_.process_own == q)
		sim_run_.process_own = NULL;
	mutex_release(&making);
}

uint64_t process_unloaded_nr(void)
{
	return 0;
}

bool process_is_loaded(void *const *pointer, const void *value)
{
	return *pointer == value;
}

_Noreturn void process_exit_conf(const char *line)
{
	sim_fail("misuse", "%s", line);
}

void process_set_errno(int error)
{
	current_task()->error = error;
}

int process_errno(void)
{
	return current_task()->error;
}

static void prepare(void)
{
	mutex_acquire(&making);
	mutex_acquire(&instances);
	for (struct process_member *m = first_member(); m != NULL; m = m->next)
		m->fork_prepare(m);
	switching_token = lock_acquire(&switching);
	trace_note("fork", 0);
}

void sim_fork_parent(void)
{
	prepare();
	sched_point(POINT_WORK, NULL, 0, CALLER_PC);
	lock_release(&switching, switching_token);
	for (struct process_member *m = first_member(); m != NULL; m = m->next)
		m->fork_parent(m);
	mutex_release(&instances);
	mutex_release(&making);
}

/*
 * The kernel copies an address space page by page, while the other threads run on: the child sees
 * each page as it was when the kernel copied it.  Pages that read zero need no copy; one that
 * is first written meanwhile is copied last, since the fault waits until its area is copied.
 *
 * Linux copies in the order of addresses; but what a scenario has on neighbouring pages may lie
 * anywhere in a process.  So an order is chosen: that of addresses, either way, or one that is drawn.
 */
#define COPIES_MAX 128u
#define ORDERS	   16u

static unsigned find_touched(size_t *pages)
{
	unsigned nr = 0;

	for (size_t i = 0; i < sim_run_.reserve_used >> 12; i++) {
		if (!memory_pages[i].touched)
			continue;
		if (nr == COPIES_MAX)
			sim_fail("scenario", "fork copies more than %u pages", COPIES_MAX);
		pages[nr++] = i;
	}
	return nr;
}

static unsigned choose_order(void)
{
	struct action actions[ORDERS + 1] = { { .kind = ACT_CONTINUE } };

	for (unsigned i = 1; i <= ORDERS; i++)
		actions[i] = (struct action){ .kind = ACT_ORDER, .arg = (uint16_t)i };
	return sim_mode & MODE_RUN ? strategy_choose(actions, ORDERS + 1, false) : 0;
}

/* Takes the page that is copied next out of @pages, of which @nr are left. */
static size_t next_page(size_t *pages, unsigned nr, unsigned order)
{
	unsigned next = order == 0 ? 0 : nr - 1;
	size_t page;

	if (sim_run_.fork_downwards)
		next = nr - 1 - next;
	if (order > 1)
		next = (unsigned)((order * nr * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % nr;
	page = pages[next];
	memmove(&pages[next], &pages[next + 1], (nr - 1 - next) * sizeof(*pages));
	return page;
}

static void show_copy(size_t page, const char *content)
{
	char *addr = (char *)ARENA_PAGES + (page << 12);

	if (memcmp(addr, content, 4096) == 0)
		return;
	if (sim_mode & MODE_LOG)
		undo_note_range(addr, 4096);
	memcpy(addr, content, 4096);
}

static void copy_pages(void)
{
	static char content[COPIES_MAX][4096];
	static size_t left[COPIES_MAX], copied[COPIES_MAX];
	unsigned nr = find_touched(left), order = choose_order();

	for (unsigned i = 0; i < nr; i++) {
		char *addr;

		copied[i] = next_page(left, nr - i, order);
		addr = (char *)ARENA_PAGES + (copied[i] << 12);
		sched_point(POINT_GATHER, addr, 0, CALLER_PC);
		memcpy(content[i], addr, 4096);
	}
	for (unsigned i = 0; i < nr; i++)
		show_copy(copied[i], content[i]);
}

void sim_fork_downwards(void)
{
	sim_run_.fork_downwards = true;
}

static void free_others_turn(void)
{
	if (turn.thread == process_thread())
		return;
	mutex_init(&turn.mutex, RANK_TURN);
	UNDO(turn.thread);
	turn.thread = 0;
}

/* What they stored while the pages were copied may still wait: it is in the copies, or becomes visible in the parent. */
static void end_others(void)
{
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++) {
		if (i == sim_run_.current)
			continue;
		sim_run_.tasks[i].state = TASK_DONE;
		buffer_forget(&sim_run_.tasks[i]);
	}
}

void sim_fork_child(void)
{
	prepare();
	if (sim_mode & MODE_BUFFER)
		buffer_drain_everybody();
	copy_pages();
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_everybody_meets(sim_run_.current);
	if (sim_mode & MODE_LATE)
		late_pin_everybody();
	end_others();
	free_others_turn();
	lock_release(&switching, switching_token);
	for (struct process_member *m = first_member(); m != NULL; m = m->next)
		m->fork_child(m);
	mutex_release(&instances);
	mutex_release(&making);
}

unsigned check_cpu(void)
{
	return current_task()->cpu;
}

_Noreturn void check_die(const struct quire_stop *stop)
{
	sim_failure.addr = stop->address;
	sim_fail(stop->cause == QUIRE_STOP_MISUSE ? "misuse" : "check", "%.*s",
		 (int)strcspn(stop->line, "\n"), stop->line);
}

/* The explorer needs no hook to see the end of a run. */
struct check_hook check_set_hook(struct check_hook hook)
{
	(void)hook;
	return (struct check_hook){ .call = NULL };
}

/* The model has no files: no instance is observed in it. */
int observed_create(struct observed_file *file, size_t bytes)
{
	sim_log_write(file, sizeof(*file));
	*file = (struct observed_file){ .bytes = bytes };
	return -ENOENT;
}

void observed_close(struct observed_file *file)
{
	sim_log_write(file, sizeof(*file));
	file->addr = NULL;
}

void observed_remove(struct observed_file *file)
{
	sim_log_write(file, sizeof(*file));
	file->addr = NULL;
}
