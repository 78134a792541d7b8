/* SPDX-License-Identifier: MIT */
/*
 * percpu.h - objects with one copy for each CPU
 *
 * One allocation is one offset; each CPU has its own copy at pointer + cpu * QUIRE_PERCPU_STRIDE.
 * The pointer itself refers to CPU 0's copy.  Copies start as zeroes, and a copy that is never
 * written costs no memory.  All frees are legal anywhere, including signal handlers.
 *
 * Objects lie in chunks.  A chunk is the same stretch of addresses for every CPU; a CPU's part of it is
 * a unit.  A page of a chunk stands for that page of all units: to populate it is to charge it for all
 * CPUs, so that objects may use it, and to depopulate it is to give it back.
 */
#ifndef QUIRE_PERCPU_H
#define QUIRE_PERCPU_H

#include <stddef.h>
#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* From one CPU's copy to the next, for every object of every instance: part of the ABI. */
#define QUIRE_PERCPU_STRIDE ((size_t)1 << 20)

/* Largest object; the largest alignment is a page. */
#define QUIRE_PERCPU_BYTES_MAX ((size_t)32 << 10)

/*
 * What QUIRE_NOWAIT and QUIRE_ATOMIC promise.  Such a call waits for no thread that allocates,
 * grows, drains or gives memory back; it populates pages itself, and may make system calls of its
 * own that commit addresses: when a chunk is used up, one for each CPU and some for its records.
 * It is not refused because another thread is doing any of that, or because the worker has not
 * come yet.  It is refused
 *   - at the limit: NOWAIT leaves the reserve of the min watermark, ATOMIC three eighths of it, and
 *     neither has others give up what they cache; but populated pages that are empty are used first;
 *   - if the system refuses to commit addresses (ENOMEM), or none are left (ENOSPC);
 *   - if all callers together have populated 64 further pages since quire_percpu_shrink(), the worker or
 *     another allocation began to give back the maps of pages that are gone: one system call.
 * It may wait for one thing, once: the first object of an instance, for a thread that makes the
 * instance's first object or area, or forks.  QUIRE_NOLOCK commits nothing and only tries locks:
 * it is served from what is populated, and from the rest of chunks that exist.
 */

/**
 * quire_alloc_percpu - allocate an object with a copy on every CPU
 * @q:		instance
 * @bytes:	of one copy, 1..QUIRE_PERCPU_BYTES_MAX
 * @align:	of every copy: a power of two, at most a page; 0 means 8, or 4 for at most 4 bytes
 * @flags:	QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK, QUIRE_NORETRY, QUIRE_ZERO
 *
 * All copies are always zeroed.  Room is counted against the instance's limit for all CPUs, page
 * by page.
 *
 * Returns   CPU 0's copy; or NULL with errno EINVAL (bytes, align or flags), ENOSPC (no addresses
 *           left) or ENOMEM (limit reached, or the system refused); then nothing has changed.
 * Context   may wait, unless a flag forbids it: see above.  From a signal handler only with NOLOCK.
 * Cost      a few instructions for a size that comes and goes on this CPU; otherwise one lock; and
 *           a look at every CPU's copy of an offset that was used before.
 * Pair      quire_free_percpu().
 * Linux     __alloc_percpu_gfp().
 */
void *quire_alloc_percpu(struct quire *q, size_t bytes, size_t align, unsigned flags);

/**
 * QUIRE_ALLOC_PERCPU - allocate an object of a type with a copy on every CPU
 * @q:		instance
 * @type:	any type that __typeof__ takes, as for QUIRE_DEFINE_PER_CPU
 *
 * Returns   CPU 0's copy, as a pointer to @type; or NULL with errno as from quire_alloc_percpu().
 * Context   may wait; not from a signal handler.
 * Cost      as quire_alloc_percpu().
 * Pair      quire_free_percpu().
 * Linux     alloc_percpu().
 */
#define QUIRE_ALLOC_PERCPU(q, type)                                                                \
	((__typeof__(type) *)quire_alloc_percpu((q), sizeof(type), __alignof__(type), 0))

/**
 * quire_free_percpu - free an object
 * @q:		the instance it came from
 * @ptr:	as allocated; NULL does nothing
 *
 * No copy may be used afterwards.  A double free, a foreign pointer, or a pointer that is not the
 * start of an object stops the process with one line.
 *
 * Context   anywhere, signal handlers included; never waits for memory.
 * Cost      a look at the maps and a push on this CPU's stack, without a lock, for sizes that
 *           stacks hold; otherwise one lock.
 * Pair      quire_alloc_percpu().
 * Linux     free_percpu().
 */
void quire_free_percpu(struct quire *q, void *ptr);

/**
 * quire_alloc_reserved_percpu - allocate an object where room is kept for it
 * @q:		instance
 * @bytes:	as for quire_alloc_percpu()
 * @align:	as for quire_alloc_percpu()
 *
 * Each instance keeps 8 KiB of its first chunk for the variables of libraries that are loaded later.  They are
 * populated, so this call is served even at the limit; what it takes, variables of libraries no longer have, and are
 * then placed as any object is.
 *
 * Returns   CPU 0's copy, all copies zeroed; or NULL with errno EINVAL (bytes or align), ENOSPC (the area is used
 *           up), or ENOMEM (the instance's first object, and no memory for its first chunk); then nothing has changed.
 * Context   may wait for the instance's first object, and before that is refused runs the program's shrinkers; not
 *           from a signal handler.
 * Cost      one lock, and a look at every page of the area.
 * Pair      quire_free_percpu().
 * Linux     __alloc_reserved_percpu().
 */
void *quire_alloc_reserved_percpu(struct quire *q, size_t bytes, size_t align);

/* What to allocate many of.  Initialise it with QUIRE_PERCPU_REQUEST_INIT(), and set what you need. */
struct quire_percpu_request {
	uint32_t struct_bytes; /* sizeof(struct quire_percpu_request) */
	uint32_t flags;
	size_t bytes; /* these as for quire_alloc_percpu() */
	size_t align;
};

/* Takes designated fields, as QUIRE_OPTIONS_INIT() does. */
#define QUIRE_PERCPU_REQUEST_INIT(...) QUIRE_SIZED_WITH_(struct quire_percpu_request, __VA_ARGS__)

/**
 * quire_alloc_percpu_bulk - allocate many objects of one size
 * @q:		instance
 * @request:	as for quire_alloc_percpu()
 * @ptrs:	every entry is set, whatever it held: to an object, or to NULL from the refused one on
 * @count:	entries of @ptrs
 *
 * Returns   how many were allocated by this call.  Less than @count, 0 included, means that the
 *           next one was refused, with errno as for quire_alloc_percpu(); those before it are the
 *           caller's.
 * Context   as quire_alloc_percpu().
 * Cost      from 8 objects on, one lock for up to 64; below, as quire_alloc_percpu() for each.
 * Pair      quire_free_percpu_bulk(), or one by one.
 */
size_t quire_alloc_percpu_bulk(struct quire *q, const struct quire_percpu_request *request,
			       void **ptrs, size_t count);

/**
 * quire_free_percpu_bulk - free many objects
 * @q:		the instance they came from
 * @ptrs:	entries that are NULL are passed over; all are NULL afterwards
 * @count:	entries of @ptrs
 *
 * A line about misuse names quire_free_percpu(): few objects are freed by it, and their fast path is told no name.
 *
 * Context   as quire_free_percpu().
 * Cost      as quire_free_percpu(), for each.
 */
void quire_free_percpu_bulk(struct quire *q, void **ptrs, size_t count);

/**
 * quire_this_cpu_copy - quire_this_cpu_ptr() without the type: what it calls
 * @ptr:	CPU 0's copy
 *
 * Returns   the address of the current CPU's copy.
 * Context   anywhere, signal handlers included.
 * Cost      a call that reads the CPU's number.
 */
void *quire_this_cpu_copy(const volatile void *ptr);

/** quire_per_cpu_copy_ - quire_per_cpu_ptr() without the type: what it calls */
static inline void *quire_per_cpu_copy_(const volatile void *ptr, unsigned cpu)
{
	return (char *)(uintptr_t)ptr + cpu * QUIRE_PERCPU_STRIDE;
}

/* The type of @ptr as a value: an array's is that of a pointer to its first element. */
#define QUIRE_PER_CPU_PTR_(ptr) __typeof__(1 ? (ptr) : (ptr))

/**
 * quire_per_cpu_ptr - the copy of one CPU
 * @ptr:	CPU 0's copy: an object as allocated, a variable's name, or the address of a field or an
 *		element in either
 * @cpu:	below quire_percpu_units()
 *
 * A macro in C, a template in C++.  Each argument is evaluated once.
 *
 * Returns   the address of CPU @cpu's copy, of the type of @ptr.
 * Context   anywhere, signal handlers included.
 * Cost      a shift and an addition.
 * Linux     per_cpu_ptr(); per_cpu(name, cpu) is *quire_per_cpu_ptr(name, cpu).
 */
#ifndef __cplusplus
#define quire_per_cpu_ptr(ptr, cpu) ((QUIRE_PER_CPU_PTR_(ptr))quire_per_cpu_copy_((ptr), (cpu)))
#else
/** quire_per_cpu_ptr - as the macro */
extern "C++" template <class T> inline T *quire_per_cpu_ptr(T *ptr, unsigned cpu)
{
	return static_cast<T *>(quire_per_cpu_copy_(ptr, cpu));
}
#endif

/**
 * quire_this_cpu_ptr - the copy of the CPU that the caller runs on
 * @ptr:	as for quire_per_cpu_ptr()
 *
 * A hint: the thread may be moved to another CPU at any moment, and other threads run on this one.
 * Data that is changed through the pointer needs a lock in the copy, or atomic operations.  The
 * operations of quire/percpu_ops.h need neither, but no copy may be changed in both ways.
 *
 * Returns   the address of that CPU's copy, of the type of @ptr.  If the object has copies for
 *           fewer CPUs than there are (the option units), CPU n gets copy n modulo units.
 * Context   anywhere, signal handlers included.
 * Cost      a call that reads the CPU's number.
 * Linux     this_cpu_ptr() and raw_cpu_ptr(): the two differ only where preemption can be disabled.
 */
#ifndef __cplusplus
#define quire_this_cpu_ptr(ptr) ((QUIRE_PER_CPU_PTR_(ptr))quire_this_cpu_copy(ptr))
#else
/** quire_this_cpu_ptr - as the macro */
extern "C++" template <class T> inline T *quire_this_cpu_ptr(T *ptr)
{
	return static_cast<T *>(quire_this_cpu_copy(ptr));
}
#endif

/**
 * quire_percpu_units - the CPUs that objects have copies for
 * @q:		instance
 *
 * Returns   the option units, or as many as there are possible CPUs.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      a load.
 * Linux     nr_cpu_ids.
 */
unsigned quire_percpu_units(const struct quire *q);

/**
 * quire_percpu_bytes - the size of an object
 * @q:		the instance it came from
 * @ptr:	CPU 0's copy; any other address is no object
 *
 * Returns   bytes of one copy, as they were rounded; 0 for what is no object.
 * Context   takes one lock; not from a signal handler.
 * Cost      a look at the object's map.
 * Linux     pcpu_alloc_size().
 */
size_t quire_percpu_bytes(const struct quire *q, const void *ptr);

/**
 * quire_percpu_shrink - give back all per-CPU memory that no object needs
 * @q:		instance
 *
 * Frees the variables of libraries that were unloaded, empties every CPU's cached offsets,
 * depopulates every empty page and destroys free chunks.
 *
 * Returns   bytes uncharged.
 * Context   may wait; not from a signal handler.
 * Cost      a look at every chunk and every CPU's stacks; one gather for each chunk that gives
 *           pages back.
 * Linux     none: the balance worker does it by itself, as ours does too.
 */
size_t quire_percpu_shrink(struct quire *q);

/*
 * Variables with a copy on every CPU, at file or namespace scope:
 *
 *	static QUIRE_DEFINE_PER_CPU(long, hits) = 0;
 *	static QUIRE_DEFINE_PER_CPU(int [4], levels) = { 1, 2, 3, 4 };
 *	...
 *	*quire_per_cpu_ptr(hits, cpu) += 1;
 *	(*quire_per_cpu_ptr(levels, cpu))[2] = 5;
 *	quire_this_cpu_inc(&(*levels)[2]);
 *
 * The name is a pointer to CPU 0's copy: long *hits, int (*levels)[4].  It is set before main() and
 * before every constructor that has no priority of its own, those of C++ objects included; until
 * then it is NULL.  The variables live in the default instance for as long as their program or
 * library is loaded: at exit() they stay, since threads, destructors and handlers of atexit() may
 * still use them; after dlclose() the next definition, or quire_percpu_shrink(), frees their room.
 */
struct quire_percpu_variable {
	uint32_t struct_bytes; /* sizeof(struct quire_percpu_variable) */
	uint32_t flags;	       /* 0 */
	void **pointer;	       /* set to CPU 0's copy */
	const void *content;   /* what every copy begins as */
	size_t bytes;	       /* of one copy */
	size_t align;
};

/* Takes designated fields, as QUIRE_OPTIONS_INIT() does. */
#define QUIRE_PERCPU_VARIABLE_INIT(...) QUIRE_SIZED_WITH_(struct quire_percpu_variable, __VA_ARGS__)

/* The first priority that is not the implementation's own. */
#define QUIRE_PER_CPU_PRIORITY 101

/*
 * The content comes last, since the initialiser follows the macro, and the constructor before it
 * needs its name.  C allows a static object to be declared twice.  C++ does not, but it declares a
 * static member in its class; the unnamed namespace keeps that class local to the file.  An initialiser
 * sees the class's members before anything else, so the member has a name that no program uses.
 *
 * C++ compilers are told to refuse an initialiser that is not constant: it would run after the
 * constructor has copied the content.  g++ has the word __constinit since version 10; before, it cannot
 * check.  clang's attribute for it also refuses a struct without an initialiser, so clang's warning
 * about constructors is made an error for this one declaration.
 */
#ifndef __cplusplus
#define QUIRE_PER_CPU_ASSERT_		    _Static_assert
#define QUIRE_PER_CPU_CONTENT_BEFORE_(name) static quire_type_##name quire_content_##name;
#define QUIRE_PER_CPU_CONTENT_(name)	    quire_content_##name
#define QUIRE_PER_CPU_CONTENT_DEFINE_(name) static quire_type_##name quire_content_##name
#else
#define QUIRE_PER_CPU_ASSERT_	     static_assert
/* clang-format off */
#define QUIRE_PER_CPU_CONTENT_BEFORE_(name)                                                        \
	namespace { struct quire_content_##name {                                                  \
		static quire_type_##name quire_initial_;                                           \
	}; }
/* clang-format on */
#define QUIRE_PER_CPU_CONTENT_(name) quire_content_##name::quire_initial_
#ifdef __clang__
#define QUIRE_PER_CPU_CONTENT_DEFINE_(name)                                                        \
	_Pragma("clang diagnostic push")                                                           \
		_Pragma("clang diagnostic error \"-Wglobal-constructors\"")                        \
			quire_type_##name quire_content_##name::quire_initial_ _Pragma(            \
				"clang diagnostic pop")
#elif __GNUC__ >= 10
#define QUIRE_PER_CPU_CONTENT_DEFINE_(name)                                                        \
	__constinit quire_type_##name quire_content_##name::quire_initial_
#else
#define QUIRE_PER_CPU_CONTENT_DEFINE_(name) quire_type_##name quire_content_##name::quire_initial_
#endif
#endif

/**
 * QUIRE_DEFINE_PER_CPU - define a variable with a copy on every CPU
 * @type:	any type that __typeof__ takes: arrays, pointers to functions, structs, const ones.  A
 *		comma outside of parentheses needs a typedef.  In C++ it may be the name of a
 *		struct that @name hides from there on
 * @name:	becomes a pointer to @type; two files may each have a static one of the same name
 *
 * May be preceded by static, and followed by a constant initialiser, which is every copy's; without
 * one the copies are zero.  The alignment is that of @type, at most a page.
 *
 * Context   at file or namespace scope.  The constructor that it leaves stops the process with one
 *           line if there is no memory.
 * Cost      sizeof(type) on every CPU, and once more for the initialiser; quire_percpu_define().
 * Pair      QUIRE_DECLARE_PER_CPU, in a header.
 * Linux     DEFINE_PER_CPU.
 */
#define QUIRE_DEFINE_PER_CPU(type, name)                                                           \
	__typeof__(type) *name;                                                                    \
	typedef __typeof__(*name) quire_type_##name;                                               \
	QUIRE_PER_CPU_CONTENT_BEFORE_(name)                                                        \
	QUIRE_PER_CPU_ASSERT_(sizeof(quire_type_##name) <= QUIRE_PERCPU_BYTES_MAX,                 \
			      "QUIRE_DEFINE_PER_CPU: more than QUIRE_PERCPU_BYTES_MAX");           \
	static __attribute__((constructor(QUIRE_PER_CPU_PRIORITY))) void quire_define_##name(void) \
	{                                                                                          \
		const struct quire_percpu_variable quire_variable = {                              \
			sizeof(struct quire_percpu_variable),                                      \
			0,                                                                         \
			(void **)(void *)&name,                                                    \
			(const void *)(uintptr_t)&QUIRE_PER_CPU_CONTENT_(name),                    \
			sizeof(quire_type_##name),                                                 \
			__alignof__(quire_type_##name)                                             \
		};                                                                                 \
                                                                                                   \
		quire_percpu_define(&quire_variable);                                              \
	}                                                                                          \
	QUIRE_PER_CPU_CONTENT_DEFINE_(name)

/**
 * QUIRE_DECLARE_PER_CPU - declare a variable that another file defines, not as static
 * @type:	as in the definition
 * @name:	as in the definition
 *
 * Context   wherever a variable may be declared.
 * Cost      none.
 * Pair      QUIRE_DEFINE_PER_CPU.
 * Linux     DECLARE_PER_CPU.
 */
#define QUIRE_DECLARE_PER_CPU(type, name) extern __typeof__(type) *name

/**
 * quire_percpu_define - what the constructor of a per-CPU variable calls
 * @variable:	only read during the call
 *
 * Takes room from the static area, then the reserved one, then like any object, and copies the
 * content to every CPU.  A variable cannot refuse: the process exits with status 2 and one line
 * if there is no memory, if no object has such a size or alignment, if struct_bytes is not set, or if a field is
 * set that this version does not know.
 * The room is freed when the library that contains the pointer has been unloaded.
 *
 * Context   may wait; not from a signal handler.
 * Cost      a question to the loader, and a copy of the content for every CPU.
 * Pair      quire_percpu_undefine().
 */
void quire_percpu_define(const struct quire_percpu_variable *variable);

/**
 * quire_percpu_undefine - free a variable's copies now, and set its pointer to NULL
 * @variable:	names the pointer; nothing happens if that is NULL already
 *
 * For variables that the program defines by a call of its own.  No thread may use it any more.
 *
 * Context   may wait; not from a signal handler.
 * Cost      a look at every record of a variable.
 * Pair      quire_percpu_define().
 */
void quire_percpu_undefine(const struct quire_percpu_variable *variable);

/* What per-CPU memory holds and has done.  Pages are page offsets: each counts once, though it is
 * there on every CPU.  Gauges may be torn against each other while other threads run. */
struct quire_percpu_stat {
	uint32_t struct_bytes; /* before a call its size, afterwards what was filled */
	uint32_t page_shift;
	uint32_t units;
	uint32_t unit_pages;	  /* pages of a chunk on one CPU */
	uint64_t populated_kB;	  /* page size x units x populated pages, the first chunk's too */
	uint64_t populated_pages; /* of all chunks */
	uint64_t first_pages;	  /* of those, the first chunk's */
	uint64_t empty_pages;	  /* populated, no object: the reserve for QUIRE_ATOMIC */
	uint64_t isolated_pages;  /* populated pages of isolated chunks */
	uint64_t metadata_bytes;  /* memory for maps, chunk records and caches */
	uint64_t objects, bytes;  /* live; bytes of one copy, as rounded */
	uint64_t cached_objects;  /* free, on CPUs' stacks */
	uint64_t chunks, chunks_max; /* that exist; most at one time */
	uint64_t chunks_created, chunks_destroyed;
	uint64_t chunks_isolated, chunks_sidelined, chunks_reintegrated;
	uint64_t flushes;	/* gathers that depopulated */
	uint64_t flushed_pages; /* pages that went with them */
	uint64_t pages_populated, pages_depopulated;
	uint64_t allocs, frees;	 /* that took the lock, and those in bulk */
	uint64_t deferred_frees; /* by handlers that got no lock */
	uint64_t refusals, atomic_refusals;
	uint64_t drains; /* CPUs' stacks emptied */
};

#define QUIRE_PERCPU_STAT_INIT QUIRE_SIZED_(struct quire_percpu_stat)

/**
 * quire_percpu_stat_read - what per-CPU memory holds and has done
 * @q:		instance
 * @stat:	initialised; to be filled
 *
 * Exact while no other thread uses the instance.
 *
 * Returns   0; -EINVAL if @stat's size is not set.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a look at every chunk and every CPU's stacks.
 */
int quire_percpu_stat_read(const struct quire *q, struct quire_percpu_stat *stat);

/**
 * quire_text_percpu_stats - what per-CPU memory holds, in the shape of debugfs' percpu_stats
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a look at every chunk and every CPU's stacks.
 * Linux     /sys/kernel/debug/percpu_stats.
 */
size_t quire_text_percpu_stats(const struct quire *q, char *buffer, size_t bytes);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
