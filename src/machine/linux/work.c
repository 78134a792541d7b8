/* SPDX-License-Identifier: MIT */
/*
 * work.c - one worker per instance
 *
 * States of the thread, in work->state.  Each row is one compare-and-swap or exchange.
 *
 *   from               when                                               to         by
 *   NONE               work_start                                         STARTING   starter
 *   EXITED             work_start; the old thread is joined               STARTING   starter
 *   STARTING           the thread is made, its handle stored              RUNNING    starter
 *   STARTING           the system refuses a thread; wait for retry_ns     NONE       starter
 *   RUNNING            nothing is due                                     ASLEEP     thread
 *   RUNNING            the same, and memory pressure is watched           POLLING    thread
 *   ASLEEP, POLLING    woken, or due, or pressure came                    RUNNING    thread
 *   RUNNING            the function returned WORK_EXIT and no kick came   EXITED     thread
 *   EXITED             a kick came meanwhile, and no starter took over    RUNNING    thread
 *   RUNNING, ASLEEP,   work_stop                                          STOPPING   stopper
 *     POLLING, EXITED
 *   STOPPING           joined                                             NONE       stopper
 *   NONE, STOPPING     work_hold; the old thread is joined and gone       HELD       holder
 *   HELD               work_unhold                                        NONE       holder
 *
 * A thread that has not been joined keeps its handle and its stack; the transition out of EXITED
 * or into STOPPING joins it and unmaps the stack.
 *
 * due_ns is the earliest requested time.  Before the function runs, due_ns is taken out;
 * afterwards the function's answer is merged in as a minimum, so a kick during the run is not
 * lost.
 *
 * Sleeping.  The sleeper reads the generation, then due_ns, then enters ASLEEP, then sleeps if
 * the generation is unchanged.  A kick lowers due_ns, changes the generation, then reads the
 * state with a read-modify-write.  This one and the sleeper's are ordered: either the kick's is
 * later, sees ASLEEP and wakes the sleeper; or the sleeper's is later, sees the new generation,
 * and does not sleep.  A kick that does not lower due_ns wakes no thread.  In POLLING it is the same, but
 * the sleeper compares the generation by itself, after it has entered the state, and the kick sets a timer
 * instead of waking a futex (pressure.c).
 */
#include "machine/work.h"

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/context.h"
#include "machine/linux/futex.h"
#include "machine/linux/guest.h"
#include "machine/linux/lost_threads.h"
#include "machine/linux/pressure.h"
#include "machine/linux/sanitizer.h"
#include "machine/linux/system.h"
#include "machine/lock.h"
#include "machine/mem.h"

enum {
	STATE_NONE,
	STATE_STARTING,
	STATE_RUNNING,
	STATE_ASLEEP,
	STATE_POLLING,
	STATE_EXITED,
	STATE_STOPPING,
	STATE_HELD,
};

/* The kernel keeps a joined thread for some 10 us more, and longer only under a tracer. */
#define GONE_WAIT_NS  UINT64_C(1000000000)
#define GONE_PAUSE_NS UINT64_C(20000)

/*
 * The thread calls madvise in batches, 2 KiB of vector each, under perhaps ten frames: 16 KiB are
 * ample, and 32 KiB leave room for a program that interposes those calls.  The program's shrinkers, which
 * it calls too, are promised 64 KiB (quire.h).  libc puts its thread descriptor and all static TLS of the
 * program into the same stack; with little of that, 128 KiB hold everything.  What is not touched is no
 * memory.  ThreadSanitizer wants 128 KiB for itself.
 */
#define STACK_BYTES_MIN	   ((size_t)128 << 10)
#define STACK_TSAN_BYTES   ((size_t)256 << 10)
#define STACK_USABLE_BYTES (((size_t)96 << 10) + (MACHINE_TSAN ? STACK_TSAN_BYTES : 0))

/* ---- what is due ---- */

/* Lowers due_ns to @due_ns.  Returns whether that made it earlier. */
static bool due_lower(struct work *work, uint64_t due_ns)
{
	uint64_t found = load_relaxed(&work->due_ns);

	do {
		if (found <= due_ns)
			return false;
	} while (!cas_acq_rel(&work->due_ns, &found, due_ns));
	return true;
}

/* Only one caller may run the function; the thread waits for its turn, other callers return. */
static bool run_begin(struct work *work)
{
	uint32_t found = 0;

	return cas_acquire(&work->running, &found, UINT32_C(1));
}

static void run_end(struct work *work)
{
	store_release(&work->running, UINT32_C(0));
	if (work->mode == WORK_THREAD)
		futex_wake_all(&work->running);
}

/* Between run_begin and run_end.  Returns the function's result. */
static uint64_t run_due(struct work *work, uint64_t now_ns)
{
	uint64_t next_ns;

	/* Pairs with due_lower(): a kick after this may concern work that the function does not
	 * see. */
	(void)exchange_acq_rel(&work->due_ns, (uint64_t)WORK_IDLE);
	next_ns = work->run(work->arg, now_ns);
	if (next_ns < WORK_EXIT)
		(void)due_lower(work, next_ns);
	return next_ns;
}

uint64_t work_poll(struct work *work)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t next_ns;

	if (load_acquire(&work->due_ns) > now_ns || !run_begin(work))
		return load_relaxed(&work->due_ns);
	next_ns = run_due(work, now_ns);
	run_end(work);
	return next_ns == WORK_EXIT ? WORK_EXIT : load_relaxed(&work->due_ns);
}

/* ---- the thread ---- */

static bool move(struct work *work, uint32_t from, uint32_t to)
{
	return cas_acq_rel(&work->state, &from, to);
}

static bool is_stopping(const struct work *work)
{
	return load_acquire(&work->state) == STATE_STOPPING;
}

/* Waits for a kick or until @due_ns; @generation was read before @due_ns. */
static void thread_sleep(struct work *work, uint32_t generation, uint64_t due_ns)
{
	if (!move(work, STATE_RUNNING, STATE_ASLEEP))
		return;
	if (due_ns == WORK_IDLE)
		futex_wait(&work->generation, generation);
	else
		futex_wait_until(&work->generation, generation, due_ns);
	(void)move(work, STATE_ASLEEP, STATE_RUNNING);
}

/* The same, and until there is memory pressure. */
static void thread_poll(struct work *work, uint32_t generation, uint64_t now_ns, uint64_t due_ns)
{
	if (!move(work, STATE_RUNNING, STATE_POLLING))
		return;
	if (load_acquire(&work->generation) == generation) /* with wake(): see above */
		pressure_sleep(&work->watch, now_ns, due_ns);
	(void)move(work, STATE_POLLING, STATE_RUNNING);
}

static void thread_rest(struct work *work, uint32_t generation, uint64_t now_ns, uint64_t due_ns)
{
	pressure_open(&work->watch, now_ns);
	if (pressure_is_open(&work->watch))
		thread_poll(work, generation, now_ns, due_ns);
	else
		thread_sleep(work, generation, due_ns);
}

/* Runs due work, after a concurrent poll has ended.  Returns whether the thread may end. */
static bool thread_run(struct work *work, uint64_t now_ns)
{
	uint64_t next_ns;

	if (!run_begin(work)) {
		futex_wait(&work->running, 1);
		return false;
	}
	next_ns = run_due(work, now_ns);
	run_end(work);
	return next_ns == WORK_EXIT;
}

/* The end, unless something became due since the function looked. */
static bool thread_exit(struct work *work)
{
	if (load_acquire(&work->due_ns) != WORK_IDLE || !move(work, STATE_RUNNING, STATE_EXITED))
		return false;
	/* A kick that changed the state's word before that move lowered due_ns even earlier. */
	/* Another thread may have begun to join this one: then it starts the next thread, or
	 * none. */
	return load_acquire(&work->due_ns) == WORK_IDLE || !move(work, STATE_EXITED, STATE_RUNNING);
}

static void *thread_main(void *arg)
{
	struct work *work = arg;

	work->thread_id = (uint32_t)SYSTEM_CALL(SYS_gettid);
	guest_settle(work->isolated_cpus, work->isolated_words);
	/* No thread could join this one before the starter has stored its handle. */
	while (load_acquire(&work->state) == STATE_STARTING)
		futex_wait(&work->state, STATE_STARTING);
	while (!is_stopping(work)) {
		uint32_t generation = load_acquire(&work->generation);
		uint64_t due_ns = load_acquire(&work->due_ns);
		uint64_t now_ns = clock_now_ns();

		if (due_ns > now_ns && load_relaxed(&work->watch.pressed) == 0)
			thread_rest(work, generation, now_ns, due_ns);
		else if (thread_run(work, now_ns) && thread_exit(work))
			break;
	}
	pressure_close(&work->watch);
	lost_threads_worker_ends();
	return NULL;
}

/* ---- making and ending it ---- */

static int add_tls(struct dl_phdr_info *object, size_t bytes, void *arg)
{
	size_t *tls_bytes = arg;

	(void)bytes;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];

		if (header->p_type == PT_TLS)
			*tls_bytes += header->p_memsz + header->p_align;
	}
	return 0;
}

/* _SC_THREAD_STACK_MIN leaves static TLS out, of which some programs have a megabyte. */
static size_t stack_bytes_wanted(void)
{
	long libc_bytes = sysconf(_SC_THREAD_STACK_MIN);
	size_t bytes = STACK_USABLE_BYTES;

	(void)dl_iterate_phdr(add_tls, &bytes);
	if (libc_bytes > 0)
		bytes += (size_t)libc_bytes;
	if (annotate_has_tsan()) /* in the program: its runtime wants as much again */
		bytes += STACK_TSAN_BYTES;
	if (bytes < STACK_BYTES_MIN)
		bytes = STACK_BYTES_MIN;
	return (bytes + mem_page_bytes() - 1) & ~(mem_page_bytes() - 1);
}

/* The stack grows down towards an inaccessible page. */
static size_t guard_bytes(void)
{
	return mem_page_bytes();
}

static void stack_unmap(struct work *work)
{
	mem_release(work->stack, work->stack_bytes);
	work->stack = NULL;
}

static int stack_map(struct work *work)
{
	size_t bytes = stack_bytes_wanted();

	work->stack_bytes = bytes + guard_bytes();
	work->stack = mem_reserve(work->stack_bytes, mem_page_bytes(), "quire-worker-stack");
	if (work->stack == NULL)
		return -ENOMEM;
	if (mem_commit((char *)work->stack + guard_bytes(), bytes) != 0) {
		stack_unmap(work);
		return -ENOMEM;
	}
	return 0;
}

static int thread_make_on_stack(struct work *work)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	error = pthread_attr_setstack(&attributes, (char *)work->stack + guard_bytes(),
				      work->stack_bytes - guard_bytes());
	if (error == 0)
		error = pthread_create(&thread, &attributes, thread_main, work);
	(void)pthread_attr_destroy(&attributes);
	if (error == 0) {
		lost_threads_worker_begun();
		work->handle = (uint64_t)thread;
	}
	return -error;
}

/* The new thread inherits the mask: no handler of the program may run on its small stack. */
static int thread_make(struct work *work)
{
	sigset_t all, before;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = thread_make_on_stack(work);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

/* libc joins a thread when the kernel has released its memory, but the kernel counts the thread a
 * little longer.  If a filter refuses the query, the thread counts as gone. */
static int thread_await_gone(struct work *work)
{
	uint64_t end_ns = clock_now_ns() + GONE_WAIT_NS, now_ns;

	while (SYSTEM_CALL(SYS_tgkill, (long)getpid(), (long)work->thread_id, 0L) == 0) {
		now_ns = clock_now_ns();
		if (now_ns > end_ns)
			return -EBUSY;
		futex_wait_until(&work->state, load_acquire(&work->state), now_ns + GONE_PAUSE_NS);
	}
	return 0;
}

static void thread_join(struct work *work)
{
	int error = pthread_join((pthread_t)work->handle, NULL);

	CHECK_VALUES(error == 0, error, work->handle);
	stack_unmap(work);
}

/* A filter or a limit that refused one thread refuses the next: callers work until retry_ns. */
static void note_attempt(struct work *work, bool refused)
{
	store_relaxed(&work->retry_ns, refused ? clock_now_ns() + work->pause_ns : 0);
	store_release(&work->refused, (uint32_t)refused);
}

/* In state STARTING. */
static void thread_start(struct work *work)
{
	int errno_before = errno;
	uint32_t state = STATE_NONE;

	/* Where threads were lost, making one may wait for ever: it counts as refused. */
	if (!lost_threads() && stack_map(work) == 0) {
		if (thread_make(work) == 0)
			state = STATE_RUNNING;
		else
			stack_unmap(work);
	}
	note_attempt(work, state == STATE_NONE);
	store_release(&work->state, state);
	futex_wake_all(&work->state);
	errno = errno_before;
}

void work_init(struct work *work, const struct work_options *options, work_function *run, void *arg)
{
	*work = (struct work){
		.run = run,
		.arg = arg,
		.mode = options->mode,
		.pause_ns = options->pause_ns,
		.isolated_cpus = options->isolated_cpus,
		.isolated_words = options->isolated_words,
		.due_ns = WORK_IDLE,
		.state = STATE_NONE,
	};
	pressure_init(&work->watch);
}

/* There is no thread; may @caller create one?  A free creates one only if work is due. */
static bool may_start(struct work *work, enum work_caller caller)
{
	/* The child of a fork forgets its worker, also one that a handler starts which runs there before ours. */
	if (lock_kept())
		return false;
	/* Hints: a caller that reads stale values asks the system once too often, or once too
	 * rarely. */
	if (load_relaxed(&work->refused) != 0 && clock_now_ns() < load_relaxed(&work->retry_ns))
		return false;
	return caller != WORK_CALLER_FREES ||
	       (load_relaxed(&work->due_ns) != WORK_IDLE && context_is_ordinary());
}

static void thread_want(struct work *work, enum work_caller caller)
{
	/* A hint: pairs with every move of the state. */
	uint32_t state = load_relaxed(&work->state);

	if ((state != STATE_NONE && state != STATE_EXITED) || !may_start(work, caller))
		return;
	if (!move(work, state, STATE_STARTING))
		return;
	if (state == STATE_EXITED)
		thread_join(work);
	thread_start(work);
}

bool work_needs_callers(const struct work *work)
{
	/* Pairs with note_attempt(). */
	return work->mode == WORK_INLINE || load_acquire(&work->refused) != 0;
}

void work_start(struct work *work, enum work_caller caller)
{
	if (work->mode == WORK_THREAD)
		thread_want(work, caller);
	if (caller == WORK_CALLER_WAITS && work_needs_callers(work))
		(void)work_poll(work);
}

/* After due_ns or the state has changed. */
static void wake(struct work *work)
{
	uint32_t state;

	(void)fetch_add_relaxed(&work->generation, UINT32_C(1));
	state = fetch_or_acq_rel(&work->state, UINT32_C(0));
	if (state == STATE_ASLEEP)
		futex_wake_all(&work->generation);
	else if (state == STATE_POLLING)
		pressure_wake(&work->watch);
}

void work_kick(struct work *work, uint64_t due_ns)
{
	if (due_lower(work, due_ns) && work->mode == WORK_THREAD)
		wake(work);
}

/* ---- memory pressure ---- */

void work_watch_pressure(struct work *work)
{
	store_relaxed(&work->watch.wanted,
		      UINT32_C(1)); /* a hint: the thread looks before it sleeps */
}

bool work_take_pressure(struct work *work)
{
	/* Stored by the thread that runs the function, or that will run it. */
	return load_relaxed(&work->watch.pressed) != 0 &&
	       exchange_acq_rel(&work->watch.pressed, UINT32_C(0)) != 0;
}

enum work_pressure work_pressure(const struct work *work)
{
	return (enum work_pressure)load_relaxed(&work->watch.state);
}

/* ---- the end ---- */

/* Claims the thread for joining.  Returns whether there is one. */
static bool stop_begin(struct work *work)
{
	for (;;) {
		uint32_t state = load_acquire(&work->state);

		if (state == STATE_NONE || state == STATE_HELD)
			return false;
		if (state == STATE_STARTING)
			futex_wait(&work->state, STATE_STARTING);
		else if (move(work, state, STATE_STOPPING))
			return true;
	}
}

static void stop_finish(struct work *work)
{
	CHECK(!pthread_equal(pthread_self(), (pthread_t)work->handle));
	(void)fetch_add_relaxed(&work->generation, UINT32_C(1));
	futex_wake_all(&work->generation);
	pressure_wake(&work->watch);
	thread_join(work);
}

void work_stop(struct work *work)
{
	if (stop_begin(work)) {
		stop_finish(work);
		store_release(&work->state, (uint32_t)STATE_NONE);
	}
	CHECK(load_acquire(&work->running) == 0);
	store_relaxed(&work->due_ns, (uint64_t)WORK_IDLE);
}

int work_hold(struct work *work)
{
	int error;

	if (work->mode != WORK_THREAD)
		return 0;
	while (!move(work, STATE_NONE, STATE_HELD)) {
		CHECK(load_acquire(&work->state) != STATE_HELD);
		if (!stop_begin(work))
			continue; /* the starter got no thread */
		stop_finish(work);
		error = thread_await_gone(work); /* for callers that count threads */
		store_release(&work->state, (uint32_t)(error ? STATE_NONE : STATE_HELD));
		if (error)
			return error;
		break;
	}
	note_attempt(work, false); /* and callers do no work */
	return 0;
}

void work_unhold(struct work *work)
{
	(void)move(work, STATE_HELD, STATE_NONE);
}

static bool runs_on_stack_of(const struct work *work)
{
	char here;

	return (uintptr_t)&here - (uintptr_t)work->stack < work->stack_bytes;
}

/*
 * libc has forgotten the thread, but its stack was copied.  Due work is still due.  The function
 * may have been interrupted between two locks, so its last result does not count: it is called
 * again.  A child that the thread itself forked goes on with its stack.
 */
void work_fork_child(struct work *work)
{
	if (runs_on_stack_of(work)) { /* a shrinker forked in its visit */
		lost_threads_say();
		work->stack = NULL;
	} else if (work->stack != NULL) {
		stack_unmap(work);
	}
	pressure_close(&work->watch);
	store_relaxed(&work->watch.pressed, UINT32_C(0));
	work->watch.retry_ns = 0;
	if (load_relaxed(&work->running) != 0)
		(void)due_lower(work, 0);
	store_relaxed(&work->running, UINT32_C(0));
	if (load_relaxed(&work->state) != STATE_HELD)
		store_relaxed(&work->state, (uint32_t)STATE_NONE);
	/* The system may grant the child what it refused to the parent. */
	note_attempt(work, false);
}
