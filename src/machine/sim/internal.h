/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of the simulated machine share
 *
 * Words
 *   task      a fiber with a stack of its own; task 0 is the scenario's body
 *   point     a place where the scheduler may do something other than continue
 *   action    what it does there; continuing is no action
 *   deviation an action that was taken: (task, the task's count of points, action).  A schedule is
 *             the list of its deviations, in any order: their keys are local to a task, so removing
 *             one does not move another.
 *   run       one schedule from the scene to the end
 *
 * State is in three places.  `sim_opt` says what to do and is constant during a run.  `sim_run_`
 * is the run; it is copied back whole.  What the core and the scenario write is put back from the
 * undo log (undo.c).  Tables that would be large to clear carry the number of the run that wrote
 * an entry; an entry of another run is empty.
 */
#ifndef MACHINE_SIM_INTERNAL_H
#define MACHINE_SIM_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "machine/sim/hooks.h"
#include "machine/sim/sim.h"

#define TASKS_MAX     72 /* 64 CPUs, the body, workers, handlers that are tasks */
#define IRQS_MAX      8
#define HELD_MAX      80 /* fork holds every CPU's lock */
#define BUFFER_MAX    16 /* stores a CPU holds back; x86 has 36 to 72, tests need 3 */
#define ACTIONS_MAX   256
#define NAMES_MAX     64
#define NO_TASK	      255
#define SIM_CPUS_MOST 1024 /* CPUs that a body may act as; tasks run on up to 64 */
#define CALLER_PC     ((uintptr_t)__builtin_return_address(0))
#define STEP_NEVER    UINT32_MAX
#define NOINLINE      __attribute__((noinline))

/* What hooks have to do; 0 while a scene is set up. */
enum {
	MODE_LOG = 1,	   /* writes go to the undo log */
	MODE_RUN = 2,	   /* inside sim_run(): the scheduler acts at points */
	MODE_PLAIN = 4,	   /* plain accesses are points */
	MODE_RACE = 8,	   /* vector clocks */
	MODE_MEMORY = 16,  /* page tables and TLBs */
	MODE_BUFFER = 32,  /* store buffers */
	MODE_TRACE = 64,   /* record events for a report */
	MODE_HASH = 128,   /* count distinct schedules */
	MODE_MEMO = 256,   /* a final state is checked once */
	MODE_COUNT = 512,  /* count locks and lines moved; no tasks run */
	MODE_ENTER = 1024, /* note the places of accesses: enter.c */
	MODE_LATE = 2048,  /* loads get earlier values: late.c */
};

enum task_state {
	TASK_RUNNABLE,
	TASK_BLOCKED,  /* on wait_on */
	TASK_SLEEPING, /* until due_ns */
	TASK_DONE,
};

enum action_kind {
	ACT_CONTINUE,
	ACT_SWITCH,  /* arg: task */
	ACT_IRQ,     /* arg: index of the handler */
	ACT_MIGRATE, /* arg: CPU */
	ACT_ABORT,
	ACT_DRAIN, /* arg: task << 8 | entry */
	ACT_TRYFAIL,
	ACT_REFUSE,
	ACT_LATE,  /* arg: how many values back; of a locked operation 1: its store waits */
	ACT_ORDER, /* arg: the order in which fork copies pages */
	ACTION_KINDS_NR,
};

struct action {
	uint8_t kind;
	uint16_t arg;
};

struct deviation {
	uint32_t step; /* the task's count of points */
	uint8_t task;
	struct action action;
};

struct held {
	const void *lock;
	uintptr_t pc;
	uint16_t rank;
	bool waits; /* a mutex */
};

struct pending {
	uint64_t old, new;
	void *addr;
	uint8_t bytes;
	bool barrier;	/* release: everything before it leaves first */
	bool unsettled; /* plain: the store comes after the hook */
	bool locked; /* a locked operation's: nobody else's store comes between its load and this */
	const void *lock; /* a lock's release: free once this has left */
};

struct task {
	void *context;
	void (*body)(void *arg);
	void *arg;
	const char *name;
	const void *wait_on;
	uintptr_t wait_pc;
	uint64_t due_ns;
	uint32_t steps;
	uint32_t next_deviation; /* replay: the step of the next one */
	uint32_t priority;	 /* PCT */
	uint8_t state;
	uint16_t cpu;
	uint8_t level; /* RT: handlers are above tasks */
	bool daemon;   /* need not end */
	bool in_seq, seq_abort;
	bool irq_off;
	bool no_number;			    /* reads a CPU number above the bound */
	bool no_registering, is_registered; /* for the length of a sequence */
	bool no_wait;			    /* set by the scenario: it may not wait for a mutex */
	uint8_t irq_depth;
	uint8_t held_nr;
	uint8_t buffer_nr;
	uint32_t spin_nr;  /* spin locks held */
	uint32_t locks_nr; /* locks held or being taken */
	uintptr_t pc;	   /* of the last point */
	int error;	   /* errno */
	struct held held[HELD_MAX];
};

struct irq {
	void (*body)(void *arg);
	void *arg;
	unsigned times;
	uint16_t cpu;
	uint8_t task; /* RT: the task that runs it */
};

struct run {
	uint32_t steps, next_step;
	uint32_t strategy_step, fair_step;
	uint32_t switches;
	uint64_t now_ns;
	uint64_t group_bytes; /* that the cgroup permits; 0: 8 MiB */
	bool memory_is_locked;
	uint64_t rng;
	uint64_t trace_hash;
	uint8_t current, tasks_nr, irqs_nr;
	bool phase_over;
	bool ops_bound_is_0, ops_ended; /* cpu.c */
	bool fork_downwards;		/* process.c */
	uint8_t last_on_cpu[64];
	uint8_t last_preempted;
	uint16_t locked_nr; /* stores of locked operations that wait */
	size_t heap_used, reserve_used;
	size_t reserved_bytes;		/* handed out and not released */
	uint32_t mappings_used[4];	/* by enum mem_mappings */
	size_t aliases_nr, aliases_max; /* pages mapped again; a maximum of 0: no limit */
	unsigned refusals_left;
	unsigned upsets_left;
	const char *ends_by;	/* the rule whose violation is the run's right end; NULL: none */
	const char *ends_words; /* what the failure says then; NULL: anything */
	struct irq irqs[IRQS_MAX];
	uint32_t owned_pages;
	void *process_first;
	struct quire *process_own;    /* the process's own instance */
	const char *variable, *value; /* of the environment, which has one at most */
	struct task tasks[TASKS_MAX]; /* last: only those in use are copied */
};

struct sim_options {
	unsigned cpus_nr;
	enum sim_model model;
	enum sim_config config;
	enum sim_tlb tlb;
	unsigned events;
	unsigned page_shift;
	unsigned batch_max; /* 0: none */
	uint32_t step_limit;
	uint64_t seed;
	unsigned mode; /* MODE_* in force during runs */
};

extern struct sim_options sim_opt;
extern struct run sim_run_;
extern unsigned sim_mode;
extern uint32_t sim_run_number; /* tags entries of tables that are not cleared */

extern struct task *sim_task; /* &sim_run_.tasks[sim_run_.current] */

static inline struct task *current_task(void)
{
	return sim_task;
}

/* ---- fiber.c ---- */
void fiber_switch(void **save, void *to);
void *fiber_make(char *stack_end, void (*entry)(void));

/* The same, without a call: each return after a switch is predicted wrong, so there should be few. */
#if defined(__x86_64__)
static inline void fiber_switch_here(void **save, void *to)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t" /* what a leaf function may use */
			 "push %%rbp\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "push %%rax\n\t"
			 "mov %%rsp, (%%rdi)\n\t"
			 "mov %%rsi, %%rsp\n\t"
			 "pop %%rax\n\t"
			 "jmp *%%rax\n"
			 "1:\tpop %%rbp\n\t"
			 "lea 128(%%rsp), %%rsp"
			 : "+D"(save), "+S"(to)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15", "memory", "cc");
}
#else
static inline void fiber_switch_here(void **save, void *to)
{
	fiber_switch(save, to);
}
#endif

/* ---- arena.c: where everything simulated lives ---- */
#define ARENA_BASE   UINT64_C(0x200000000000)
#define ARENA_BYTES  (UINT64_C(4) << 30)
#define STACK_BYTES  (UINT64_C(512) << 10)
#define ARENA_HEAP   ARENA_BASE
#define ARENA_STACKS (ARENA_BASE + (UINT64_C(64) << 20))
#define ARENA_PAGES  (ARENA_BASE + (UINT64_C(256) << 20))
#define ARENA_END    (ARENA_BASE + ARENA_BYTES)
#define PAGES_MAX    ((ARENA_END - ARENA_PAGES) >> 12)

void arena_init(void);
/* Discards everything that an earlier scene left. */
void arena_reset(void);
char *arena_stack_end(unsigned task);

static inline bool in_arena(const volatile void *addr)
{
	return (uintptr_t)addr - ARENA_BASE < ARENA_BYTES;
}

static inline bool in_stacks(const volatile void *addr)
{
	return (uintptr_t)addr - ARENA_STACKS < ARENA_PAGES - ARENA_STACKS;
}

static inline bool in_pages(const volatile void *addr)
{
	return (uintptr_t)addr - ARENA_PAGES < ARENA_END - ARENA_PAGES;
}

/* ---- undo.c ---- */
struct undo {
	uint64_t
		where; /* a word of the arena; elsewhere: address, and size (1..8) in the top byte */
	uint64_t value;
};

extern struct undo *undo_entries;
extern size_t undo_nr, undo_room;
/* Words noted recently, with the run: only the first note of a word matters. */
#define UNDO_NOTED 1024
extern uint64_t undo_noted[UNDO_NOTED];
void undo_make_room(void);
void undo_note_elsewhere(void *addr, unsigned bytes);
void undo_note_range(void *addr, size_t bytes);
void undo_all(void);
uint64_t undo_swap(void);
void undo_redo(void);
void undo_forget(void);

/* ---- unseen.c ---- */
/* Copies the scene as it is now. */
void unseen_keep(void);
/* After undo_all(): a word that is not as in the scene, which had *@was there; NULL: none. */
const void *unseen_find(uint64_t *was);

static inline void undo_note_word(uintptr_t word)
{
	uint64_t tag = (uint64_t)sim_run_number << 32 | (word - ARENA_BASE) >> 3;
	uint64_t *noted = &undo_noted[word >> 3 & (UNDO_NOTED - 1)];

	if (*noted == tag)
		return;
	*noted = tag;
	if (UNLIKELY(undo_nr == undo_room))
		undo_make_room();
	undo_entries[undo_nr++] = (struct undo){
		.where = word,
		.value = *(const uint64_t *)word,
	};
}

/* In the arena whole words are noted: there is no size to record, and one store restores a word. */
static inline void undo_note_small(void *addr, unsigned bytes)
{
	uintptr_t at = (uintptr_t)addr, word = at & ~(uintptr_t)7;

	if (UNLIKELY(!in_arena(addr))) {
		undo_note_elsewhere(addr, bytes);
		return;
	}
	undo_note_word(word);
	if (UNLIKELY(at + bytes > word + 8))
		undo_note_word(word + 8);
}

static inline uint64_t undo_load(const void *addr, unsigned bytes)
{
	uint64_t value = 0;

	switch (bytes) {
	case 1:
		return *(const uint8_t *)addr;
	case 2:
		memcpy(&value, addr, 2);
		return value;
	case 4:
		memcpy(&value, addr, 4);
		return value;
	case 8:
		memcpy(&value, addr, 8);
		return value;
	default:
		memcpy(&value, addr, bytes);
		return value;
	}
}

static inline void undo_store(void *addr, unsigned bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		memcpy(addr, &value, 1);
		break;
	case 2:
		memcpy(addr, &value, 2);
		break;
	case 4:
		memcpy(addr, &value, 4);
		break;
	case 8:
		memcpy(addr, &value, 8);
		break;
	default:
		memcpy(addr, &value, bytes);
	}
}

/* Used before the machine itself changes something that the next run must find restored. */
#define UNDO(lvalue)                                                                               \
	do {                                                                                       \
		if (sim_mode & MODE_LOG)                                                           \
			undo_note_range(&(lvalue), sizeof(lvalue));                                \
	} while (0)

/* ---- hooks.c: accesses, from instrumented code and from the machine's own models ---- */
void sim_plain_read(const volatile void *addr, size_t bytes, uintptr_t pc);
void sim_plain_write(volatile void *addr, size_t bytes, uintptr_t pc);
/* Before the machine itself writes to memory that the core gave it. */
void sim_log_write(void *addr, size_t bytes);
uint64_t sim_load(const volatile void *addr, unsigned bytes, int order, uintptr_t pc);
void sim_store(volatile void *addr, unsigned bytes, uint64_t value, int order, uintptr_t pc);

/* ---- sched.c ---- */
/* A task that takes so many points while others could run lets one of them go first. */
#define SCHED_FAIR_STEPS 3000u
void sim_point_slow(struct task *task);
/* The same, and notes the access, where schedules are counted. */
void sched_deciding_point(enum point_kind kind, const volatile void *addr);
void sched_point(enum point_kind kind, const volatile void *addr, unsigned bytes, uintptr_t pc);
void sched_reset(void);
uint8_t sched_spawn(const char *name, unsigned cpu, void (*body)(void *arg), void *arg);
/* Waits until another task wakes the tasks that wait on @object. */
void sched_block(const void *object, uintptr_t pc);
void sched_sleep(uint64_t due_ns, uintptr_t pc);
void sched_wake(const void *object);
void sched_restart_sequences(int cpu);
void sched_fair(struct task *task);
/* A choice between no (the default) and yes. */
bool sched_decide(enum action_kind kind);
void sched_set_next_step(void);
void sched_run_phase(void);
/* The running task cannot continue: switches to another. */
void sched_switch_away(void);
void sched_task_entry(void);
_Noreturn void sched_leave_run(void);
/* The same for a run that has ended as the scenario said, before its checks. */
_Noreturn void sched_end_well(void);
bool sched_eligible(const struct task *task);
/* Called by the harness: sched_scene() sets a scene up, and each sched_execute() runs it once. */
void sched_scene(const struct sim_test *test);
void sched_execute(uint64_t seed);
bool sched_inside(void);
bool sched_has_scene(void);
/* How often the last run's body has called sim_run(). */
unsigned sched_phases(void);
/* The last run passed its checks: a run that ends in the same state need not make them. */
void sched_keep_state(void);

/* ---- strategy.c ---- */
enum strategy {
	STRATEGY_MIX, /* random and PCT in turns */
	STRATEGY_RANDOM,
	STRATEGY_PCT,
	STRATEGY_ALL,
	STRATEGY_REPLAY,
};

#define DEVIATIONS_MAX 8192
extern struct deviation strategy_taken[DEVIATIONS_MAX];
extern unsigned strategy_taken_nr;

void strategy_set(enum strategy which, unsigned depth);
void strategy_set_replay(const struct deviation *list, unsigned nr);
void strategy_begin_run(uint64_t seed);
/* After a run: is there another?  Only STRATEGY_ALL comes to an end. */
bool strategy_next_run(void);
uint32_t strategy_next_step(uint32_t steps);
unsigned strategy_choose(const struct action *actions, unsigned nr, bool forced);
void strategy_task_started(struct task *task);
void strategy_woken(void);
void strategy_set_length(uint32_t steps);
double strategy_pct_bound(void);
uint64_t strategy_random(void);

/* ---- buffer.c ---- */
extern struct pending *buffer_unsettled; /* the running task's last store, if not yet in memory */
void buffer_settle_slow(void);

/* A plain store is announced before it happens; by the next hook its value is in memory. */
static inline void buffer_settle(void)
{
	if (buffer_unsettled != NULL)
		buffer_settle_slow();
}

void buffer_add(struct task *task, void *addr, unsigned bytes, bool barrier);
/* A store by a sequence. */
void buffer_store(void *to, const void *from, unsigned bytes);
void buffer_add_unlock(struct task *task, void *addr, unsigned bytes, const void *lock);
void buffer_add_rmw(struct task *task, void *addr, unsigned bytes, bool barrier);
void buffer_drain_all(struct task *task);
/* Before a store by @task to [@addr, @addr + @bytes) becomes visible: that of another's locked operation does. */
void buffer_make_way(const struct task *task, const volatile void *addr, size_t bytes);
/* Until no store that overlaps [@addr, @addr + @bytes) waits, and, for an acquire, no release. */
void buffer_drain_before(struct task *task, const volatile void *addr, unsigned bytes,
			 bool acquire);
bool buffer_has(const struct task *task, const volatile void *addr, unsigned bytes);
void buffer_unapply(struct task *task);
void buffer_apply(struct task *task);
bool buffer_can_drain(const struct task *task, unsigned index);
/* @task must be the running one, or its waiting stores must not be applied to memory. */
void buffer_drain_one(struct task *task, unsigned index);
void buffer_drain_everybody(void);
void buffer_forget(struct task *task);
void buffer_fence_everybody(void);

/* ---- late.c ---- */
void late_reset(void);
void late_watch(const volatile void *addr, unsigned bytes);
void late_store_left(unsigned task, const volatile void *addr, size_t bytes, const void *values);
void late_pin(unsigned task);
void late_pin_everybody(void);
void late_fence(unsigned task, int order);
uint64_t late_load_slow(const volatile void *addr, unsigned bytes, int order, uint64_t value);

/* The value that a load of @bytes at @addr returns where memory has @value. */
static inline uint64_t late_load(const volatile void *addr, unsigned bytes, int order,
				 uint64_t value)
{
	return UNLIKELY(sim_mode & MODE_LATE) ? late_load_slow(addr, bytes, order, value) : value;
}

/* A load that is performed now. */
void late_load_now(const volatile void *addr, unsigned bytes, int order);
void late_rmw(const volatile void *addr, unsigned bytes, int order);
/* Chooses whether a locked operation's store, which need not be visible before what follows, waits. */
bool late_rmw_waits(void);

/* ---- race.c ---- */
/* For a new scene. */
void race_forget(void);
void race_reset(unsigned tasks_nr);
/* True if the last run was not watched whole: it has to be executed again. */
bool race_has_learnt(void);

/* Of a word of the arena, in any run of the scene: the only task that has used it, plus 1, or RACE_MANY; and whether it
 * was written.  Only if it was shared so can it race. */
#define RACE_MANY    0x7f
#define RACE_WRITTEN 0x80
#define RACE_SHARED  (RACE_MANY | RACE_WRITTEN)
extern uint8_t *race_users;

/* The access adds nothing to what is known of the word, which cannot race. */
static inline bool race_is_private(const volatile void *addr, size_t bytes, bool write)
{
	uintptr_t at = (uintptr_t)addr - ARENA_BASE;
	unsigned self = sim_run_.current + 1u, users;

	if (UNLIKELY(at >= ARENA_BYTES))
		return true;
	if (UNLIKELY((at & 7) + bytes > 8))
		return false;
	users = race_users[at >> 3];
	return users == (self | RACE_WRITTEN) || (!write && (users == self || users == RACE_MANY));
}

void race_spawn(unsigned parent, unsigned child);
void race_plain(const volatile void *addr, size_t bytes, bool write, uintptr_t pc);
void race_atomic(const volatile void *addr, unsigned bytes, bool write, bool read, int order,
		 uintptr_t pc);
void race_marked(const volatile void *addr, unsigned bytes, bool write, uintptr_t pc);
void race_fence(int order);
void race_acquire(const void *object);
void race_release(const void *object);
void race_join_all(unsigned task);
void race_everybody_meets(unsigned task);
void race_cpu_leave(unsigned task, unsigned cpu);
void race_cpu_enter(unsigned task, unsigned cpu);
void race_set_task(unsigned task);

/* ---- memory.c, mem.c ---- */
void memory_access(const volatile void *addr, size_t bytes, bool write, uintptr_t pc);
void memory_note_write(const volatile void *addr, size_t bytes);
void memory_reset(void);
const char *memory_describe(const volatile void *addr, char *text, size_t bytes);
bool sim_refuses(void);

/* ---- stack.c: for CPU @cpu, or all if it is negative ---- */
void sequences_fence(int cpu, uintptr_t pc);

/* ---- count.c ---- */
struct sim_counts {
	uint64_t ops, locks, transfers;
};

extern struct sim_counts sim_counted;
void count_access(enum point_kind kind, const volatile void *addr, size_t bytes);
void count_reset(void);

/* ---- lock.c ---- */
void lock_left_buffer(const void *lock);
void lock_check_task_end(const struct task *task);
void lock_describe_waits(char *text, size_t bytes);

/* ---- hash.c ---- */
void hash_access(const volatile void *addr, bool write);

static inline void hash_point(enum point_kind kind, const volatile void *addr)
{
	const unsigned reads = 1u << POINT_READ | 1u << POINT_LOAD | 1u << POINT_SEQ_READ;

	if (sim_mode & MODE_HASH)
		hash_access(addr, !(reads >> kind & 1));
}

/* The access before got a value that is so many stores old. */
void hash_late(unsigned stores);
bool hash_seen(uint64_t hash);
uint64_t hash_distinct(void);
/* The same for states at the end of a run. */
bool hash_state_seen(uint64_t hash);
void hash_state_keep(uint64_t hash);
void hash_forget(void);

/* ---- trace.c ---- */
struct event {
	uint8_t task, kind, bytes;
	uint8_t irq_depth, buffered;
	uint16_t cpu;
	uint32_t step;
	uintptr_t pc;
	uintptr_t callers[2]; /* of the function at pc, innermost first; 0: none */
	const void *addr;
	uint64_t old, value; /* before and after; a read's are the same */
	const char *note;    /* POINT_NOTE, and details of others */
	struct kept *kept;   /* NULL: nothing */
};

/* The machine's state at an event, as far as callers' variables are found from it. */
#define KEPT_REGISTERS 17
#define KEPT_STACK_MAX 8192u
struct kept {
	uint64_t registers[KEPT_REGISTERS]; /* by DWARF's numbers; those that a callee preserves */
	size_t stack_bytes;
	unsigned char stack[]; /* from the stack pointer upwards */
};

#define EVENTS_MAX 65536
extern struct event trace_events[EVENTS_MAX];
extern unsigned trace_nr;
void trace_add(enum point_kind kind, const volatile void *addr, unsigned bytes, uintptr_t pc);
void trace_note(const char *note, uint64_t value);
void trace_value(uint64_t value);
void trace_settle(void);
void trace_reset(void);
void trace_forget_names(void);
/* The name of the smallest range with a name that holds [@addr, @addr + @bytes), and where it is; NULL: none. */
const char *trace_name_of(const void *addr, size_t bytes, const void **start, size_t *named_bytes);

/* ---- source.c ---- */
/* A function that an address is in, inlined or not. */
struct source_frame {
	uintptr_t pc;
	const char *function;
	const char *where; /* FILE:LINE */
};

/* Tells the frames of each address, from the innermost out; nothing if addr2line does not know it. */
void source_ask(const uintptr_t *pcs, unsigned nr, void (*tell)(const struct source_frame *frame));

/* ---- enter.c ---- */
void enter_begin(const struct sim_test *test);
void enter_note(uintptr_t pc);
/* A function that the scenario names and has not entered since the begin; NULL: none. */
const char *enter_missing(void);

/* ---- explore.c: one scenario under many schedules ---- */
struct failure {
	bool found;
	char rule[48];
	char text[1024];
	uintptr_t pc, other_pc;
	const void *addr; /* what the rule was broken for; NULL: not known */
};

extern struct failure sim_failure;

/* ---- scene.c ---- */
void scene_catch_signals(void);
/* The address at which the program is loaded; 0 unless it is position-independent. */
uintptr_t scene_image_base(void);

#endif
