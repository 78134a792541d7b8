/* SPDX-License-Identifier: MIT */
/*
 * process.c - state of the whole process
 *
 * Words
 *   member   an instance that is notified of forks
 *
 * Fork.  prepare takes the mutex, so the list does not change until parent and child are done
 * with it.  Then it calls the members in the order of their registration: each takes its own
 * locks in rank order, and no two members share a lock.  Parent and child walk the list backwards
 * and release the mutex last.  Before any member runs in the child, the child registers with the
 * kernel for the fences that its parent used.
 *
 * libc runs prepare handlers in the reverse order of registration, parent and child handlers in
 * that order.  A constructor registers ours before programs register theirs, so theirs run
 * without any of Quire's locks held: they may use Quire, and may take locks under which other
 * threads use it.  If a library was initialised before Quire, because Quire was loaded by
 * dlopen() or comes later in the order of initialisation, its handlers run while the fork holds
 * Quire's locks.  The locks are lent to that thread's calls then (lock.h), which work as usual.
 * One case remains: such a handler must not wait for a thread that waits for one of these locks.
 *
 * Being initialised first of all (-z initfirst) was rejected: only one library of a process can
 * have that flag, and before glibc 2.34 it is libpthread.
 */
#include "machine/process.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/keyed.h"
#include "base/text.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/linux/cpulist.h"
#include "machine/linux/fence.h"
#include "machine/linux/guest.h"
#include "machine/linux/lost_threads.h"
#include "machine/linux/object.h"
#include "machine/linux/system.h"
#include "machine/linux/thread.h"
#include "machine/lock.h"

/* Linux has at most 1,024 nodes; a list that names more is not one. */
#define NODES_MAX 1024u

static struct {
	struct mutex making; /* taken first: the default instance, while it is made */
	struct mutex mutex;  /* RANK_INSTANCES */
	struct lock switching;
	lock_token token; /* of switching, during a fork */
	struct process_turn turn;
	/* Under the mutex: */
	struct process_member *first, *last;
	/* Atomic: 0 until it is known. */
	unsigned cpus_possible;
	/* Atomic, written under making. */
	struct quire *own;
} process = {
	.making = { .rank = RANK_DEFAULT },
	.mutex = { .rank = RANK_INSTANCES },
	.switching = { .rank = RANK_SWITCH },
	.turn = { .mutex = { .rank = RANK_TURN } },
};

static void fork_prepare(void)
{
	uint32_t begun = lock_keep_begin();

	mutex_acquire(&process.making);
	mutex_acquire(&process.mutex);
	lost_threads_fork_prepare();
	for (struct process_member *m = process.first; m != NULL; m = m->next)
		m->fork_prepare(m);
	process.token = lock_acquire(&process.switching);
	lock_keep_end(begun);
}

static void fork_parent(void)
{
	(void)lock_unkeep();
	lock_release(&process.switching, process.token);
	for (struct process_member *m = process.last; m != NULL; m = m->prev)
		m->fork_parent(m);
	mutex_release(&process.mutex);
	mutex_release(&process.making);
}

/* The thread that had it is not in this child. */
static void free_others_turn(void)
{
	if (load_relaxed(&process.turn.thread) == process_thread())
		return;
	mutex_init(&process.turn.mutex, RANK_TURN);
	store_relaxed(&process.turn.thread, UINT64_C(0));
}

static void fork_child(void)
{
	(void)lock_unkeep();
	fence_fork_child();
	lost_threads_fork_child();
	free_others_turn();
	lock_release(&process.switching, process.token);
	for (struct process_member *m = process.last; m != NULL; m = m->prev)
		m->fork_child(m);
	mutex_release(&process.mutex);
	mutex_release(&process.making);
}

/* With the first priority that libraries may use.  Fails only if memory is short; then forks are not
 * prepared, and are unsafe. */
static void add_handlers_once(void)
{
	(void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* Also before either mutex is first taken: a constructor of the program may be there first. */
static __attribute__((constructor(101))) void add_handlers(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, add_handlers_once);
}

struct lock *process_switch_lock(void)
{
	add_handlers();
	return &process.switching;
}

struct process_turn *process_turn(void)
{
	return &process.turn;
}

void process_register(struct process_member *member)
{
	add_handlers();
	object_pin();
	mutex_acquire(&process.mutex);
	member->prev = process.last;
	member->next = NULL;
	if (process.last != NULL)
		process.last->next = member;
	else
		process.first = member;
	process.last = member;
	if (lock_kept()) { /* the fork in progress keeps its locks, too */
		uint32_t begun = lock_keep_begin();

		member->fork_prepare(member);
		lock_keep_end(begun);
	}
	mutex_release(&process.mutex);
}

void process_unregister(struct process_member *member)
{
	mutex_acquire(&process.mutex);
	if (lock_kept()) {
		uint32_t begun = lock_unkeep();

		member->fork_parent(member);
		lock_keep_again(begun);
	}
	if (member->prev != NULL)
		member->prev->next = member->next;
	else
		process.first = member->next;
	if (member->next != NULL)
		member->next->prev = member->prev;
	else
		process.last = member->prev;
	mutex_release(&process.mutex);
}

/* "0-127" as a rule; a list with holes may be longer than one of our lines. */
static unsigned read_cpus_list(void)
{
	static const char path[] = "/sys/devices/system/cpu/possible";
	char line[64], *list;
	long got = system_read_line(path, line, sizeof(line));
	unsigned cpus = 0;

	if (got <= 0)
		return 0;
	if (line[got - 1] == '\n')
		return cpulist_end(line);
	list = system_file_text(path);
	if (list != NULL) {
		cpus = cpulist_end(list);
		system_file_text_free(list);
	}
	return cpus;
}

/*
 * The system's list, unless it is not there or names fewer CPUs than we may run on, as some
 * containers have it; then what the kernel's own masks are made for, however many of them exist.
 */
static unsigned read_cpus_possible(void)
{
	unsigned bits, allowed = guest_cpus_end(&bits), cpus = read_cpus_list();
	long configured;

	if (cpus != 0 && cpus >= allowed)
		return cpus;
	if (bits != 0)
		return bits;
	configured = sysconf(_SC_NPROCESSORS_CONF);
	return configured > 0 ? (unsigned)configured : 1;
}

unsigned process_cpus_possible(void)
{
	/* If two threads read the file, both find the same number. */
	unsigned cpus = load_relaxed(&process.cpus_possible);

	if (cpus == 0) {
		cpus = read_cpus_possible();
		store_relaxed(&process.cpus_possible, cpus);
	}
	return cpus;
}

uint64_t process_thread(void)
{
	return (uintptr_t)&machine_thread;
}

/* Before Linux 3.17, and where a filter denies the call: the 16 bytes that each program is given, and the time, by
 * a generator that spreads them.  Nobody outside knows them, but all calls follow from one another. */
static void random_without_system(unsigned char *bytes, size_t n)
{
	static uint64_t calls;					/* atomic */
	const void *given = (const void *)getauxval(AT_RANDOM); // NOLINT(performance-no-int-to-ptr)
	struct key key = { { (uintptr_t)&calls, 0 } };

	if (given != NULL)
		memcpy(&key, given, sizeof(key));
	key.word[1] ^= clock_now_ns() ^ (uint64_t)getpid() << 32;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)keyed_hash(&key, fetch_add_relaxed(&calls, 1));
}

void process_random(void *bytes, size_t n)
{
	if (SYSTEM_CALL(SYS_getrandom, bytes, n, 0) != (long)n)
		random_without_system(bytes, n);
}

unsigned process_cpu(void)
{
	int errno_before = errno;
	int cpu = sched_getcpu(); /* libc reads the rseq area if there is one */

	errno = errno_before;
	return cpu < 0 ? 0 : (unsigned)cpu;
}

static bool node_has_cpu(unsigned node, unsigned cpu)
{
	char path[64];
	char *list;
	struct text text;
	bool has;

	text_init(&text, path, sizeof(path));
	text_put(&text, "/sys/devices/system/node/node");
	text_put_u64(&text, node);
	text_put(&text, "/cpulist");
	list = system_file_text(path);
	if (list == NULL)
		return false;
	has = cpulist_has(list, cpu);
	system_file_text_free(list);
	return has;
}

unsigned process_cpu_node(unsigned cpu)
{
	char *list = system_file_text("/sys/devices/system/node/possible");
	unsigned nodes = 0;

	if (list != NULL) {
		nodes = cpulist_end(list);
		system_file_text_free(list);
	}
	if (nodes > NODES_MAX)
		nodes = NODES_MAX;
	for (unsigned node = 0; node < nodes; node++) {
		if (node_has_cpu(node, cpu))
			return node;
	}
	return 0;
}

/* What the program may define. */
extern const char *quire_conf __attribute__((weak));

const char *process_conf_symbol(void)
{
	return &quire_conf != NULL ? quire_conf : NULL;
}

long process_conf_file(char *buffer, size_t bytes)
{
	return system_read_text(PROCESS_CONF_FILE, buffer, bytes);
}

const char *process_env(const char *name)
{
	return secure_getenv(name);
}

void process_set_errno(int error)
{
	errno = error;
}

int process_errno(void)
{
	return errno;
}

/* One thread creates it while others wait for the lock.  After a failure the next caller tries again. */
struct quire *process_default(struct quire *(*make)(void))
{
	struct quire *q = load_acquire(&process.own); /* pairs with the store below */

	if (LIKELY(q != NULL))
		return q;
	add_handlers();
	object_pin();
	mutex_acquire(&process.making);
	q = load_acquire(&process.own);
	if (q == NULL) {
		q = make();
		store_release(&process.own, q);
	}
	mutex_release(&process.making);
	return q;
}

void process_forget_default(struct quire *q)
{
	mutex_acquire(&process.making);
	if (process.own == q)
		store_release(&process.own, (struct quire *)NULL);
	mutex_release(&process.making);
}

void process_exit_conf(const char *line)
{
	size_t bytes = strlen(line);

	/* Nothing can be done about a line that cannot be written. */
	(void)!write(STDERR_FILENO, line, bytes);
	if (bytes == 0 || line[bytes - 1] != '\n')
		(void)!write(STDERR_FILENO, "\n", 1);
	_exit(2);
}
