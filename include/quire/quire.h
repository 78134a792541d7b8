/* SPDX-License-Identifier: MIT */
/*
 * quire.h - instances of Quire: creation, destruction, and calls on a whole instance
 *
 * Every call takes the instance it works on.  quire_default() returns the default instance of the
 * process; a process may have any number of others.  Sizes are in bytes unless the name says pages.
 * Calls that allocate return NULL and set errno; others return 0, a count, or a negative errno, and may
 * change errno, too.  A call that fails changes nothing, unless it is a bulk call.  Misuse (a double
 * free, a foreign pointer) stops the process with one line; quire_set_stop_hook() lets the program see it
 * first.
 *
 * Bulk calls take the array, its count, then flags; quire_alloc_percpu_bulk() takes a request before the
 * array instead of flags.  Bulk calls that allocate return how many entries are filled, and set errno if
 * some are not.  Afterwards each entry is NULL or something that the caller has to free.  Bulk calls that
 * free set all entries to NULL.
 *
 * Words.
 *   block, area, object   what quire/page.h, quire/vmap.h and quire/percpu.h allocate
 *   pageblock    2 MiB of the addresses of pages, aligned.  It is used for pages of one lifetime class,
 *                which come and go alike, so that it becomes free as a whole
 *   zone         a part of the pages, with a lock and lists of its own.  There is one, unless the option
 *                zones asks for one for each node
 *   buddy        the free pages of a zone, in aligned runs of 2^order, under the zone's lock
 *   stack, list  free pages that a CPU keeps for itself: a stack is used without a lock, a list with
 *                one, when the stack cannot serve.  A zone's depot has what full stacks hand on to
 *                others.  A drain empties all of them into the buddy
 *   limit        the most memory that is handed out.  The last pages of it, below the min watermark, are the
 *                reserve: ordinary calls leave it, QUIRE_ATOMIC may use a part
 *   commit       to make reserved addresses usable: the system promises memory, and supplies it where
 *                they are written.  A pageblock that is not committed is offline
 *   gather       system calls that take the memory of many ranges away at once, for one flush of the
 *                translations that other CPUs hold
 *   purge        the return of freed areas: their memory, by gathers, and then their addresses
 *   worker       a thread of the instance's that gives memory back when it is due
 *   sequence     instructions that the kernel starts again if it interrupts them (rseq): what runs
 *                on a CPU's own data instead of a lock
 *   fence        a system call (membarrier) after which no CPU is in a sequence that began before it
 *
 * Stack.  A call needs at most 8 KiB of its caller's stack, including creation of the default
 * instance, so a thread with a stack of 16 KiB may make any call.  A call that is legal in a signal
 * handler needs at most 4 KiB there, so an alternate stack of 8 KiB has room for it and for a signal
 * frame with the largest register set.  Both figures include what the dynamic linker needs to bind a
 * call (about 3 KiB with AVX-512).  With more than 512 CPUs, calls that may drain need 4 KiB more.
 *
 * Structs.  Those that a program passes or has filled begin with struct_bytes, their size where the
 * program was compiled; counters and references, which are made by their own calls, do not.  Initialise
 * them with their macro, QUIRE_OPTIONS_INIT(.decay_ms = 100) or QUIRE_PAGE_STAT_INIT; from another
 * language, zero the struct and store its size.  Later versions only append fields, so programs and
 * libraries of different ages work together:
 *
 *   passed, program older   the fields that it does not have take their defaults
 *   passed, program newer   -E2BIG if it sets a field that the library does not know
 *   filled, program older   it gets the fields that it has
 *   filled, program newer   struct_bytes is set to what was filled; the rest is zero
 *   handed to a callback    struct_bytes is what the library filled: compare it before reading a field
 *                           that a later version added
 *
 * A size of 0 (not set), or one that is not a multiple of 8, is refused with -EINVAL.
 */
#ifndef QUIRE_QUIRE_H
#define QUIRE_QUIRE_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers; what quire_version() returns is the library's. */
#define QUIRE_VERSION_MAJOR 0
#define QUIRE_VERSION_MINOR 1
#define QUIRE_VERSION_PATCH 0
#define QUIRE_VERSION                                                                              \
	(QUIRE_VERSION_MAJOR * 10000u + QUIRE_VERSION_MINOR * 100u + QUIRE_VERSION_PATCH)

struct quire;

/*
 * What the macros that end in _INIT are made of.  In C an initialiser, with the fields that the program
 * names in any order.  In C++ a value, which may be assigned as well.  C++ has designated fields from
 * C++20 on, in the order of the struct, and g++ -Wextra warns about those that are left out; a program
 * that sets fields after the initialisation compiles without a warning as C++11 or later.
 */
#ifndef __cplusplus
/* clang-format off */
#define QUIRE_SIZED_(type)	     { .struct_bytes = sizeof(type) }
#define QUIRE_SIZED_WITH_(type, ...) { .struct_bytes = sizeof(type), __VA_ARGS__ }
/* clang-format on */
#else
#if __cplusplus >= 201402L
/** quire_sized_ - @fields, with its size set */
extern "C++" template <class T> constexpr T quire_sized_(T fields)
{
	fields.struct_bytes = sizeof(T);
	return fields;
}
#else
/*
 * A constexpr function of C++11 is one expression.  So there a global variable is initialised before all
 * constructors only by a macro without fields; designated fields, an extension in C++11, are set when
 * the constructors run.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
extern "C++" template <class T> constexpr T quire_sized_(decltype(nullptr))
{
	return T{ sizeof(T) };
}
#pragma GCC diagnostic pop
extern "C++" template <class T> inline T quire_sized_(T fields)
{
	fields.struct_bytes = sizeof(T);
	return fields;
}
#endif
#define QUIRE_SIZED_(type)	     quire_sized_<type>({})
#define QUIRE_SIZED_WITH_(type, ...) quire_sized_<type>({ __VA_ARGS__ })
#endif

/* Flags of calls that allocate.  At most one of MOVABLE and RECLAIMABLE; neither means unmovable. */
#define QUIRE_MOVABLE	  (1u << 0) /* lifetime class: comes and goes by itself */
#define QUIRE_RECLAIMABLE (1u << 1) /* lifetime class: a cache that is given up when asked */
#define QUIRE_ZERO	  (1u << 2) /* every byte reads zero */
#define QUIRE_NOWAIT	  (1u << 3) /* never waits for another thread's work: quire/page.h */
#define QUIRE_ATOMIC	  (1u << 4) /* NOWAIT, and may use the reserve below the min watermark */
#define QUIRE_NOLOCK	  (1u << 5) /* only tries locks: legal in a signal handler; may refuse */
#define QUIRE_NORETRY	  (1u << 6) /* one attempt: does not drain other CPUs' lists */
#define QUIRE_HUGE	  (1u << 7) /* areas alone: all will be written, so ask for huge pages */
#define QUIRE_NOHUGE	  (1u << 8) /* areas alone: ask for no huge pages */
/* Take from node @n only (0..7). */
#define QUIRE_NODE(n)	  (((unsigned)(n) + 1u) << 24)

/* A switch in the options: zero means the default. */
enum quire_switch {
	QUIRE_DEFAULT = 0,
	QUIRE_ON = 1,
	QUIRE_OFF = 2,
	QUIRE_AUTO = 3, /* thp alone */
};

enum quire_worker {
	QUIRE_WORKER_DEFAULT = 0, /* thread */
	QUIRE_WORKER_THREAD =
		1, /* one thread gives memory back; it exists while that is worth it */
	QUIRE_WORKER_INLINE =
		2,	      /* the first allocation after its time that may wait does due work */
	QUIRE_WORKER_OFF = 3, /* nothing is done but by quire_poll() and quire_release() */
};

/*
 * The memory of pages.  Shared frames stay with the process that made the instance: in a child of fork
 * nothing is mapped at their addresses, calls about pages and areas that allocate or could fail are
 * refused with EOWNERDEAD, their frees do nothing, and quire_destroy() gives back what is the child's
 * own.  Per-CPU objects are private memory and remain usable.
 */
enum quire_backing {
	QUIRE_BACKING_DEFAULT = 0, /* anon */
	QUIRE_BACKING_ANON = 1,	   /* private memory: an address is its frame; fork copies it */
	QUIRE_BACKING_MEMFD = 2,   /* shared frames: quire_vmap() can map any pages again */
};

/* How concurrent purges of lazily freed areas are serialized: docs/vmap.md compares the three. */
enum quire_purge {
	QUIRE_PURGE_DEFAULT = 0, /* splice */
	QUIRE_PURGE_SPLICE = 1,	 /* a mutex over splice, gather and merge: the loser waits */
	QUIRE_PURGE_COUNTER =
		2,	      /* the atomic counter of 2016, for comparison: refuses spuriously */
	QUIRE_PURGE_LOCK = 3, /* one spin lock over all of it, for comparison: long holds */
};

/* An unusable page after every area.  QUIRE_GUARD_FREED is 4, not 3, so that QUIRE_AUTO, which is not
 * valid here, is refused. */
enum quire_guard {
	QUIRE_GUARD_DEFAULT = 0, /* on */
	QUIRE_GUARD_ON = 1,
	QUIRE_GUARD_OFF = 2,
	QUIRE_GUARD_FREED =
		4, /* also what was freed, until it is handed out again: for debugging */
};

/* Where a per-CPU object is put: quire/percpu.h. */
enum quire_placement {
	QUIRE_PLACEMENT_DEFAULT = 0, /* packed */
	QUIRE_PLACEMENT_PACKED = 1,  /* what dies together stays together, so that pages empty */
	QUIRE_PLACEMENT_LINUX = 2,   /* first fit by largest hole, for comparison */
};

/* A rule of packed placement that is left out, to see what it is worth: docs/percpu.md. */
enum quire_placement_rule {
	QUIRE_RULE_NONE = 0,
	QUIRE_RULE_APART = 1,	/* small objects have pages of their own */
	QUIRE_RULE_GAPS = 2,	/* small ones go into gaps between large ones of their time */
	QUIRE_RULE_SLIVERS = 3, /* but not into the smallest gaps */
	QUIRE_RULE_TIME = 4,	/* the next object goes where the last one went */
	QUIRE_RULE_HOLES = 5,	/* older holes are used once they are many */
	QUIRE_RULE_ACROSS = 6,	/* objects may cross into the next page */
};

/*
 * How to make an instance.  Initialise it with QUIRE_OPTIONS_INIT(), and set what you need; zero means
 * the default.  The same keys, in the same words, are read from a string: see quire_options_parse().
 */
struct quire_options {
	uint32_t struct_bytes; /* sizeof(struct quire_options) */
	uint32_t slots;	       /* slots: most slots (quire/page.h); default: one per possible CPU */
	uint64_t limit_bytes;  /* limit: most memory handed out; default: the machine's memory */
	uint32_t zones;	       /* zones: 1..8 equal parts, one a node; default 1 */
	uint32_t page_shift;   /* page_shift: 12..16, at least the system's; default the system's */
	uint32_t decay_ms;     /* decay: free memory goes back after this long; default 1000 */
	enum quire_switch thp; /* thp: ask for huge pages for everything, for nothing, or (auto) for
				     pages beyond 16 MiB and areas like those that were written
				     before; default auto */
	enum quire_switch rseq;	  /* rseq: per-CPU sequences, if the system has them; default on */
	enum quire_switch report; /* report: give free memory back over time; default on */
	enum quire_worker worker; /* worker: thread, inline or off */
	const char *isolated;	  /* isolated: CPU list ("2-5,8") that page lists never interrupt */
	enum quire_backing backing; /* backing: anon or memfd */
	uint64_t vmap_span_bytes;   /* vmap_span: addresses for areas; default 4 times the limit */
	uint64_t lazy_max_bytes;    /* lazy_max: freed areas kept before a purge is due; default
				       32 MiB x (log2(CPUs) + 1) */
	enum quire_switch cache;    /* cache: keep freed areas for reuse; default on */
	enum quire_guard guard;	    /* guard: on, off or freed */
	enum quire_purge purge;	    /* purge: splice, counter or lock */
	uint32_t units;		    /* units: CPUs that per-CPU memory has units for; default all
				       possible */
	enum quire_switch depopulate; /* depopulate: give back emptied per-CPU pages; default on */
	enum quire_placement placement; /* placement: packed or linux */
	/* placement_without: apart, gaps, slivers, time, holes or across; default none */
	enum quire_placement_rule placement_without;
	enum quire_switch debug;    /* debug: malloc looks for misuse of each block; default off */
	enum quire_switch hardened; /* hardened: malloc makes misuse hard to exploit; default off */
	uint32_t sample;	  /* sample: malloc guards one block in so many; default 0, none */
	enum quire_switch strict; /* strict: a wrong option ends a preloaded program; default off */
	enum quire_switch observe; /* observe: figures in a file for `quire stats`; default off */
	/* profile: malloc samples the heap, a block in so many bytes; default 0, off.  A power of two from 16k to 64m */
	uint64_t profile_bytes;
	uint32_t
		profile_signal; /* profile_signal: turns that on, and off with a file; default 0, none */
	enum quire_switch page_poison; /* page_poison: look for writes to free pages; default off */
};

/* QUIRE_OPTIONS_INIT(), or with designated fields: QUIRE_OPTIONS_INIT(.limit_bytes = 1 << 30). */
#define QUIRE_OPTIONS_INIT(...) QUIRE_SIZED_WITH_(struct quire_options, __VA_ARGS__)

/**
 * quire_version - the version of the library that the program runs with
 *
 * Compare it with QUIRE_VERSION, which is that of the headers that the program was compiled with.
 *
 * Returns   10000 x major + 100 x minor + patch.
 * Context   anywhere, signal handlers included.
 * Cost      a constant.
 */
unsigned quire_version(void);

/**
 * quire_options_parse - read options from a string
 * @text:	"key:value,key:value", as in QUIRE_CONF; sizes take k, m, g, t; lists of CPUs are
 *		joined by '+' ("isolated:2-5+8")
 * @options:	initialised; changed only if the whole text is right
 * @error:	receives one line that names the key, the nearest right one, and what was expected
 * @error_bytes: size of @error
 *
 * Returns   0, or with @error filled -EINVAL; -E2BIG if the program is newer and sets a field that the
 *           library does not know, or is older and the text has a key for which its struct has no field.
 * Context   anywhere, signal handlers included; takes no lock.  A CPU list points into @text, which must
 *           live until quire_create().
 * Cost      O(length of the text); no system call.
 */
int quire_options_parse(const char *text, struct quire_options *options, char *error,
			size_t error_bytes);

/**
 * quire_text_options - the options that an instance really uses, as text
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * The text is "key:value,key:value" with every key, as quire_options_parse() and QUIRE_CONF read it.
 * Values are those in use: defaults filled in, the limit as it was last learnt (an instance of less
 * than 16 MiB has not asked what the system permits), rseq:off where the system has no sequences.  Options of areas that nobody has used yet are those
 * that they would get.  An instance made from the text is the same, as long as the system grants the
 * same; but its limit is given, where one that is not given follows what the system permits.
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   anywhere, signal handlers included; takes no lock.
 * Cost      about a microsecond.
 */
size_t quire_text_options(const struct quire *q, char *buffer, size_t bytes);

/**
 * quire_text_limits - the limits in effect, and where each comes from
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * A line for each: the limit in bytes, which follows what the system permits unless it was given; the most that
 * it can be; the CPUs that the process can keep busy; and 1 or 0 for whether the worker watches for memory
 * pressure, and of what, or why not.
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   may wait for the worker's visit; not from a signal handler.
 * Cost      reads files if that was not done within a second: some 0.1 ms.
 */
size_t quire_text_limits(const struct quire *q, char *buffer, size_t bytes);

/**
 * quire_create - make an instance
 * @options:	NULL means all defaults; copied
 * @out:	receives the instance, only on success
 *
 * Reserves addresses for the limit at once (less where RLIMIT_AS is small: all reservations of a
 * process take at most half of it; halved until the system grants them) and memory only
 * as it is used.
 *
 * Returns   0; -EINVAL for an option out of range or a struct_bytes that is not set; -E2BIG for an option
 *           that this version does not know; -ENOMEM if not even one pageblock is granted.
 * Context   may wait for a fork; not from a signal handler.
 * Cost      some twenty system calls for the first of the process, ten for others, together about 50 us.
 *           No file is read but the list of CPUs.  Areas and per-CPU memory are reserved at their first use.
 * Pair      quire_destroy().
 */
int quire_create(const struct quire_options *options, struct quire **out);

/**
 * quire_destroy - take an instance apart; everything allocated from it goes too
 * @q:		NULL does nothing.  No other thread may be using it.
 *
 * The default instance may be destroyed as well: the next quire_default() makes another, and per-CPU
 * variables move there with what they hold, so that destructors and handlers of atexit() still find
 * them.  Registered shrinkers are dropped; in a call of one of them it is misuse.
 *
 * Context   waits for the worker, and for a fork; not from a signal handler.
 * Cost      joins the worker's thread; then some ten system calls, in which the system frees the pages
 *           that were written.  What was allocated is not walked.
 */
void quire_destroy(struct quire *q);

/**
 * quire_default - the process's own instance
 *
 * Made at the first call, with options from /etc/quire.conf, from the program's own `const char *quire_conf` if it defines that, and from
 * the environment variable QUIRE_CONF (ignored in set-user-ID programs), the last the strongest.  A wrong option ends the process with one
 * line and exit status 2.
 *
 * Returns   the instance, or NULL with errno ENOMEM; the next call tries again.
 * Context   the first call may wait, and is not legal in a signal handler; later ones are, anywhere.
 * Cost      one load; the first call as quire_create().
 */
struct quire *quire_default(void);

/**
 * quire_release - give back to the system what is free
 * @q:		instance
 *
 * Drains every CPU's lists, gives back all free memory in a few gathers, and takes pageblocks that are
 * wholly free offline.
 *
 * Returns   bytes given back: of free pages, of freed areas as quire/vmap.h counts them, of per-CPU
 *           pages on all CPUs, and of records.
 * Context   may wait, for the worker's visit and for a purge; not from a signal handler.
 * Cost      one fence, a look at every CPU's lists and every pageblock, and system calls: one or two for
 *           some hundred runs of free pages or areas, and some for each run of pageblocks that goes offline.
 * Linux     echo 3 > /proc/sys/vm/drop_caches.
 */
size_t quire_release(struct quire *q);

/**
 * quire_verify - check every invariant of an instance that no other thread is using
 * @q:		instance
 *
 * Waits for the worker's visit, and keeps it out, as quire_release() and the statistics do: it is no
 * thread of the caller's.
 *
 * Returns   0, or the label of the first broken rule: 100 + n for rule Bn of the page allocator,
 *           200 + n for Vn of vmalloc, 300 + n for Pn of per-CPU memory, 400 + n for Cn of object
 *           caches (docs/invariants.md lists them);
 *           -EOWNERDEAD in a child of fork with backing:memfd.
 * Context   may wait for the worker's visit; not from a signal handler.
 * Cost      walks everything: O(pages + areas + per-CPU objects).
 */
int quire_verify(const struct quire *q);

/**
 * quire_rule_text - a rule in words
 * @label:	what quire_verify() returned
 *
 * Returns   what holds unless the rule is broken, as docs/invariants.md puts it; "no such rule" for any
 *           other number.  Never NULL; a constant, in one line.
 * Context   anywhere, signal handlers included.
 * Cost      a table.
 */
const char *quire_rule_text(int label);

/**
 * quire_poll - do due work in the caller (needed with worker:off; and with worker:inline, or where
 *	no thread may be made, if no allocation follows)
 * @q:		instance
 *
 * The result is a timeout for poll(2): `poll(fds, fds_nr, quire_poll(q))` in a loop does the work in time.
 *
 * Returns   milliseconds until more is due, rounded up; 0 if some is due now (another thread was doing
 *           it, or it has just become due); -1 if nothing is due until memory is freed again; -EOWNERDEAD
 *           in a child of fork with backing:memfd, which no later call changes.
 * Context   may wait; not from a signal handler.
 * Cost      a look at the clock if nothing is due; else a visit of the worker.
 */
int quire_poll(struct quire *q);

/**
 * quire_worker_stop - stop the worker's thread until quire_worker_start()
 * @q:		instance
 *
 * For a program that must have a single thread for a moment: unshare(CLONE_NEWUSER), setns().  The
 * thread finishes its visit and is joined; on return the system no longer counts it.  Until then due
 * work is done only by quire_poll() and quire_release().  Holds nest and are counted by thread, as those
 * of quire_pcp_disable().  Without a thread (worker:inline, worker:off) the call only counts.
 *
 * Returns   0; -EBUSY if the system still counts the thread after a second (a debugger holds it): then
 *           nothing is stopped.
 * Context   may wait, for a visit of the worker and a shrinker that it calls; not in a shrinker of @q (misuse),
 *           not from a signal handler or a handler of pthread_atfork(), not with a lock held that the program's allocator takes.
 * Cost      joins a thread if there is one.
 * Pair      quire_worker_start(), from any thread.
 */
int quire_worker_stop(struct quire *q);

/**
 * quire_worker_start - end a hold of quire_worker_stop(), from any thread
 * @q:		instance
 *
 * After the last one there is a thread again if work is due.
 *
 * Context   may wait; not from a signal handler.
 * Cost      one mutex; makes a thread if work is due.
 * Pair      quire_worker_stop().
 */
void quire_worker_start(struct quire *q);

/* A cache of the program's that can give up memory.  Initialise it with QUIRE_SHRINKER_INIT(). */
struct quire_shrinker {
	uint32_t struct_bytes; /* sizeof(struct quire_shrinker) */
	/* What it costs to make a byte again that it gives up, in any unit.  The cheapest is called first,
	 * of equals the one registered first. */
	uint32_t cost;
	const char *name; /* for quire_text_shrinkers(); copied, up to 23 bytes */
	/* Gives up about @bytes, or what it can.  Returns how many bytes it freed; 0 if it has none. */
	size_t (*scan)(size_t bytes, void *arg);
	void *arg; /* passed to it */
};

#define QUIRE_SHRINKER_INIT(...) QUIRE_SIZED_WITH_(struct quire_shrinker, __VA_ARGS__)

/**
 * quire_shrinker_register - have a cache of the program's give up memory before a call is refused, or
 *	when memory is short
 * @q:		instance that the cache's memory is from
 * @shrinker:	what to call; copied
 * @id:		receives what quire_shrinker_unregister() takes, never 0; only on success
 *
 * An allocation of pages, areas or per-CPU memory that finds nothing after every other attempt calls the
 * shrinkers of its instance, cheapest first, until the request can be served; so does the creation of an object
 * cache, and the first area or per-CPU object of an instance like any other.  It is refused if they give
 * up nothing more.  Each is called until it returns 0, first for as many bytes as are missing, then for twice as
 * many each time, at most for the limit, after which the next one's turn comes; its frees are ordinary frees to @q.
 * None is called for a request with QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK or QUIRE_NORETRY, for one
 * of more bytes than the limit, or in a signal handler.
 *
 * The worker calls them as well, cheapest first and until it has enough: under memory pressure (a 16th of what
 * @q holds at a time, at most once in 2 s), near the limit, and when a limit was lowered below what
 * is held (docs/options.md).  That stays undone while another thread is in a scan() of the process.
 *
 * scan() runs on the allocating thread, on the worker's, or, where calls do the worker's work (worker:inline,
 * quire_poll()), in such a call.  The worker's thread has all signals blocked and 64 KiB of stack for it.  None
 * of the library's locks is held, and it may make any call but quire_destroy() and quire_worker_stop() of
 * @q.  What it allocates calls no shrinker, and may be refused.  One shrinker of the process is called at a
 * time: another allocation that comes so far waits for that call, and tries again when it has returned.  So
 * scan() only tries each lock under which a thread allocates without one of those flags, or calls
 * quire_destroy(), quire_worker_stop(), quire_shrinker_unregister() or quire_poll(), and waits for no such thread.
 * It returns; it does not leave by longjmp(), an exception or the end of its thread.
 *
 * A child of fork has its parent's shrinkers.  If another thread of the parent was in scan(), that call
 * has ended in the middle in the child: a lock of the program's that it held is the program's to mend, as
 * every lock that another thread held.  quire_destroy() drops what is still registered.
 *
 * Returns   0; -EINVAL if struct_bytes is not set, or scan or name is NULL; -E2BIG if the program is newer
 *           and sets a field that the library does not know; -ENOSPC if 32 are registered.
 * Context   any thread, also in scan(); may wait for a fork; not from a signal handler.
 * Cost      one mutex; a registered shrinker costs nothing until a call would be refused or memory is
 *           short, but the worker's thread, if there is one, watches for memory pressure: two descriptors.
 * Pair      quire_shrinker_unregister().
 * Linux     register_shrinker(), shrinker_register(); no count_objects(): scan() returns 0 instead of
 *           SHRINK_STOP, and cost is seeks.
 */
int quire_shrinker_register(struct quire *q, const struct quire_shrinker *shrinker, uint64_t *id);

/**
 * quire_shrinker_unregister - end what quire_shrinker_register() began
 * @q:		instance
 * @id:		what it received; 0 does nothing
 *
 * When it returns no other thread is in scan() and none will enter it, so what scan() uses can be freed.
 * In a shrinker of the process it does not wait: that call goes on, and is the last if it is of @id.
 *
 * Context   waits for any shrinker's call on another thread, so hold no lock that a scan() waits for; not from
 *           a signal handler or a handler of pthread_atfork().  An @id that is not registered is misuse.
 * Cost      two mutexes.
 * Pair      quire_shrinker_register().
 * Linux     unregister_shrinker(), shrinker_free().
 */
void quire_shrinker_unregister(struct quire *q, uint64_t id);

/**
 * quire_text_shrinkers - the registered shrinkers in the order in which they are called
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * A line for each: name, cost, calls, and the bytes that the calls returned.
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   may wait for a fork; not from a signal handler.
 * Cost      one mutex; some microseconds.
 * Linux     /sys/kernel/debug/shrinker.
 */
size_t quire_text_shrinkers(const struct quire *q, char *buffer, size_t bytes);

/* Why the process stops. */
enum quire_stop_cause {
	QUIRE_STOP_MISUSE = 1, /* the program broke a rule of the library's */
	QUIRE_STOP_BUG = 2,    /* the library broke one of its own, or its memory was overwritten */
	QUIRE_STOP_SYSTEM = 3, /* the system refuses what it granted at the start: membarrier(2) */
};

/* What a hook is told.  Strings are constants, but for line. */
struct quire_stop {
	uint32_t struct_bytes; /* what the library filled: a later version appends fields */
	enum quire_stop_cause cause;
	const char *rule;    /* misuse: the rule, in words of docs/invariants.md ("double free");
			     bug: the condition that does not hold; system: what is refused */
	const char *call;    /* misuse: the call; else a function of the library's */
	const void *address; /* misuse: what the call was given; else NULL */
	uint64_t detail;     /* misuse: a number, which detail_name names, else 0; not a label of
			     quire_rule_text().  System: the error */
	const char *detail_name; /* misuse: "order", "pages", ... (docs/invariants.md), or NULL if
				 there is no number; else NULL */
	const char *line;	 /* what was printed, as long as the hook runs; malloc's debug:on
				 adds lines */
	uint32_t cpu;		 /* where the thread ran */
	uint32_t reserved;	 /* zero */
};

typedef void (*quire_stop_fn)(const struct quire_stop *stop, void *arg);

/**
 * quire_set_stop_hook - have a function called when misuse, or a bug of the library's, ends the process
 * @hook:	called once, after the line was printed and before abort(); NULL: none, as at the start
 * @arg:	passed to it
 * @old_arg:	NULL, or receives what was passed to the hook before this one
 *
 * One hook for the process and all its instances; the last one set counts.  For crash reporters: the
 * hook learns what the line says, while the stack still shows who made the call.  If it returns, the
 * process aborts as it does without one; it may end the process itself by _exit() or by a signal.
 *
 * The libraries of one program share the hook, so a hook calls the one that it replaced, with that
 * one's argument, after its own work.  Install hooks before other threads run: a stop before
 * old_hook is stored does not reach the old hook.
 *
 *	old_hook = quire_set_stop_hook(report, NULL, &old_arg);	// and at the end of report():
 *	if (old_hook != NULL)
 *		old_hook(stop, old_arg);
 *
 * The hook runs on the thread that was stopped, on its stack, in its signal handler if it was in one, and
 * with locks of the library held.  So it must not call the library, allocate from what is built on it,
 * or leave by longjmp() or an exception; what a signal handler may do is safe.  A second stop, in the hook
 * or on another thread while it runs, aborts at once, without a hook, even if the first hook has not
 * returned.  A hook that was replaced may still be called by a stop that had begun.
 *
 * Returns   the hook before this one, NULL if there was none.
 * Context   any thread, beside any call; not from a signal handler or the hook.
 * Cost      a lock and some stores; nothing until the process stops.
 */
quire_stop_fn quire_set_stop_hook(quire_stop_fn hook, void *arg, void **old_arg);

/**
 * quire_cpu - the current CPU
 *
 * Returns   its number; a hint as soon as it is returned.  With the option units it may be at or above
 *           quire_percpu_units(): quire_this_cpu_ptr() finds a copy that exists.
 * Context   anywhere, signal handlers included.
 * Cost      a call of sched_getcpu(), some nanoseconds.
 * Linux     raw_smp_processor_id().
 */
unsigned quire_cpu(void);

/**
 * quire_slots - how many sets of per-CPU stacks and lists an instance has (quire/page.h, "Slots")
 * @q:		instance
 *
 * Returns   their number, at least 1; it never changes.
 * Context   anywhere, signal handlers included.
 * Cost      one load.
 */
unsigned quire_slots(const struct quire *q);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
