/* SPDX-License-Identifier: MIT */
/*
 * sim.h - the simulated machine's interface to scenarios
 *
 * A scenario is a function that sets up a scene, gives each CPU something to do, calls sim_run(),
 * and checks the result.  The part before the first sim_run() runs once; the rest runs once for
 * each schedule, after everything that the scenario and the core have written is restored.  So a
 * scenario has no loop, no sleep and no thread, and its locals keep their values.
 *
 * A run is a function of the seed, the options and the source.
 */
#ifndef MACHINE_SIM_SIM_H
#define MACHINE_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim; /* the machine; there is only one, and the parameter marks the calls that need it */

enum sim_explore {
	SIM_RANDOM = 0,
	SIM_ALL_SCHEDULES, /* up to preempt_max preemptions */
};

enum sim_model {
	SIM_SC = 0, /* all CPUs see a store at once */
	SIM_TSO,    /* stores wait in a queue and leave it in order */
	SIM_PSO,    /* stores to different addresses leave it in any order */
	SIM_ARM, /* the same; and a load may get an earlier value, unless something orders it: late.c */
};

enum sim_config {
	SIM_SMP = 0, /* handlers run on top of what they interrupt, locks do not exclude them */
	SIM_UP,	     /* one CPU; a spin lock excludes handlers and other tasks */
	SIM_UP_RT,   /* one CPU; handlers are tasks of higher priority, holders are preempted */
	SIM_SMP_RT,
};

enum sim_tlb {
	SIM_TLB_MIPS = 0, /* nothing is evicted */
	SIM_TLB_X86,	  /* any entry may be gone at any access */
};

/* What the scheduler may do besides switching. */
#define SIM_MIGRATE (1u << 0) /* move a task to another CPU */
#define SIM_ABORT   (1u << 1) /* abort a sequence at any step before its commit */
#define SIM_TRYFAIL (1u << 2) /* fail a trylock that could have succeeded */
#define SIM_REFUSE  (1u << 3) /* refuse a backing call */
#define SIM_PLAIN   (1u << 4) /* switch at plain accesses too */
/* What is checked besides deadlocks, livelocks, ranks and SIM_CHECK(), which always are. */
#define SIM_RACE    (1u << 5) /* data races between plain accesses */
#define SIM_MEMORY  (1u << 6) /* translations, frames, freed objects */

#define SIM_ENTERS_MAX 8

struct sim_test {
	const char *name;
	const char *file;
	unsigned line;
	void (*body)(struct sim *sim);
	unsigned cpus_nr; /* 0: 2 */
	enum sim_explore explore;
	unsigned preempt_max;
	unsigned events; /* SIM_MIGRATE | ... */
	enum sim_model model;
	bool keep_model; /* it is about the model: --model does not change it */
	enum sim_config config;
	enum sim_tlb tlb;
	unsigned refusals;   /* SIM_REFUSE: at most so many */
	unsigned page_shift; /* 0: 12 */
	/* In the tasks a batch, of a gather or of a hold of a lock, is no larger (machine/batch.h); 0: as the core says. */
	unsigned batch_max;
	const char *scaling; /* names the scenario's path in the table of --scaling */
	bool scaling_free;   /* it must take no lock and move no line, at any number of CPUs */
	const char *expect;  /* the rule that must be found broken: a test of the checker */
	/* Functions that the tasks must enter in some run: "cache_drain", or "percpu/free.c:defer" if others have
	 * the name.  One is entered, inlined or not, when it makes an access or calls a function that does. */
	const char *enters[SIM_ENTERS_MAX];
};

#define SIM_TEST(test, ...)                                                                        \
	static void test(struct sim *sim);                                                         \
	static const struct sim_test sim_test_##test = {                                           \
		.name = #test, .file = __FILE__, .line = __LINE__, .body = test, __VA_ARGS__       \
	};                                                                                         \
	__attribute__((section("sim_tests"),                                                       \
		       used)) static const struct sim_test *const sim_entry_##test =               \
		&sim_test_##test;                                                                  \
	static void test(struct sim *sim)

/* CPUs of this run (--cpus may raise them). */
unsigned sim_cpus(struct sim *sim);
/* Zeroed memory for the scenario's own objects; freed at the end of the schedule. */
void *sim_zalloc(struct sim *sim, size_t bytes);
/* Ends an object's life: a later access to it is a failure (SIM_MEMORY). */
void sim_free(void *object);
/* Names an address range in reports. */
void sim_name(const void *addr, size_t bytes, const char *name);

/* Runs @body(@arg) on @cpu during the next sim_run(). */
void sim_cpu(struct sim *sim, unsigned cpu, void (*body)(void *arg), void *arg);
/* Lets @body(@arg) interrupt the task on @cpu, at most @times times, wherever that is allowed. */
void sim_irq(struct sim *sim, unsigned cpu, void (*body)(void *arg), void *arg, unsigned times);
/* Runs all tasks to their ends. */
void sim_run(struct sim *sim);

/* Fails the schedule.  @rule is short: reports and `expect` use it. */
_Noreturn void sim_fail(const char *rule, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* From here on, the right end of a run is a failure of this rule: a scenario of misuse, which is to be found in
 * every schedule, fails the schedule itself if it comes to its end. */
void sim_end_by(const char *rule);
/* The same, and the failure says @words: misuse of one kind is not taken for another. */
void sim_end_by_words(const char *rule, const char *words);
/* A range of pages gets an owner, or loses it; two owners at once are a failure. */
void sim_own(const void *addr, size_t bytes);
void sim_disown(const void *addr, size_t bytes);
/* Where an access by @cpu to @addr leads: the address in a frame if @addr is in an alias, @addr
 * itself if it is in ordinary memory, NULL if the access would fault.  A translation that @cpu has
 * cached and that is no longer true is a failure. */
const void *sim_frame_of(unsigned cpu, const void *addr);
/* Bytes of addresses reserved and not released, nor left to the parent by a child of fork, by which a scenario
 * finds a leak at its end. */
size_t sim_reserved_bytes(void);
/* The limit of the cgroup from now on; it is 8 MiB at first. */
void sim_set_group_bytes(uint64_t bytes);
/* The process has locked its memory: what it commits is in use at once. */
void sim_lock_memory(void);
/* Memory is short: the worker learns of it if it has a thread and watches. */
struct work;
void sim_press_memory(struct work *work);
/* Limits the pages that can be mapped again at one time; 0: no limit. */
void sim_limit_aliases(size_t pages);
/* Waits while *@word == @value; sim_wake() wakes all tasks that wait for @word. */
void sim_wait(const uint32_t *word, uint32_t value);
void sim_wake(const uint32_t *word);
/* Lets virtual time pass. */
void sim_pass_ns(uint64_t ns);
/* The calling task sleeps so long, and others run. */
void sim_sleep_ns(uint64_t ns);
/* The environment has this variable, and no other. */
void sim_set_variable(const char *name, const char *value);
/* fork(2) in the calling task: the registered members act, and the run continues in the parent, or
 * in the child, where every other task has vanished in the middle of a step. */
void sim_fork_parent(void);
void sim_fork_child(void);
/* The child gets its pages in falling order of addresses by default; at first it is rising order.  The scheduler may choose
 * another. */
void sim_fork_downwards(void);
/* While forbidden, the calling task fails if it takes a mutex: the call it makes has NOWAIT. */
void sim_forbid_wait(bool forbid);
/* The calling task has no CPU number, like a thread that libc did not create: sequences refuse.  It
 * may register for one, or may not. */
enum sim_number {
	SIM_NUMBER,
	SIM_NO_NUMBER,
	SIM_NO_REGISTERING
};
void sim_without_number(enum sim_number number);
/* Disables handlers explicitly, without a lock.  Taking a lock then is a failure on RT. */
void sim_irqs_off(void);
void sim_irqs_on(void);
/* For a scaling scenario, which runs no task: the body acts as a CPU from here on.  What lies
 * between begin and end is one operation; forget ends the warm-up. */
void sim_act_as(unsigned cpu);
void sim_count_begin(void);
void sim_count_end(void);
void sim_count_forget(void);
/* True if the calling task runs a handler. */
bool sim_in_handler(void);

void sim_check_failed(const char *condition, const char *function, unsigned line, uint64_t left,
		      uint64_t right);

#define SIM_CHECK(condition)                                                                       \
	do {                                                                                       \
		if (!(condition))                                                                  \
			sim_check_failed(#condition, __func__, __LINE__, 0, 0);                    \
	} while (0)
#define check_u64_eq(left, right)                                                                  \
	do {                                                                                       \
		uint64_t check_left_ = (uint64_t)(left), check_right_ = (uint64_t)(right);         \
		if (check_left_ != check_right_)                                                   \
			sim_check_failed(#left " == " #right, __func__, __LINE__, check_left_,     \
					 check_right_);                                            \
	} while (0)

#endif
