/* SPDX-License-Identifier: MIT */
/*
 * slab/slab.h - object caches: their words, structures and locks
 *
 * Words
 *   class      objects of one size and alignment, and what they have in common: from 1, index into
 *              slabs->class.  Caches that differ in nothing else share one (Linux merges them, too)
 *   slab       a naturally aligned run of 2^order pages, cut into objects of one class
 *   byte       what slabs->byte[] says of a frame: 0, it is no slab's; else the slab's class, with
 *              BYTE_EMPTYING if that slab gets no new users
 *   number     of an object in its slab: from 0
 *   entry      of an address where an object may begin: (address - base) >> ENTRY_SHIFT
 *   sheaf      the stack of one class on one slot (machine/lean.h): free objects
 *   slot       here always a CPU
 *   barn       a class's stock of objects between the sheaves of all slots and its slabs
 *   bin        a class's slabs with free and used objects, by the share that is used
 *   free       said of an object that is in its slab: its bit in the slab's map is set.  An object on a
 *              sheaf or in a barn is not free in this sense; to its slab it is in use
 *   sparse     said of a slab most of whose objects are free
 *   unbacked   said of a slab's page whose memory was given back while all its objects were free
 *
 * An object's life
 *   from       when                                            to        under
 *   -          its slab is made                                free      class lock
 *   free       a refill, or an allocation that has no sheaf    cached    class lock
 *   cached     a sheaf pops it, or it is the caller's at once  in use    sequence
 *   in use     freed on any CPU: on that CPU's sheaf           cached    sequence
 *   in use     freed, and its slab is emptying, or no sheaf    free      class lock
 *   cached     a spill, a drain                                free      class lock
 *
 * Nothing of ours is ever stored in an object that is free or cached.
 *
 * Locks: close_lock (RANK_SLAB_CLOSE), cpu->lock (RANK_SLAB_CPU), class->barn.lock (RANK_SLAB_BARN), class->lock (RANK_SLAB),
 * spinning, in this order, and all before the locks of pages.  No lock of ours is held while pages are
 * allocated: that may start the worker's thread, and pthread_create() calls malloc().
 */
#ifndef SLAB_SLAB_H
#define SLAB_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instance/module.h"
#include "machine/lean.h"
#include "machine/lock.h"
#include "pool/pool.h"

struct quire;
struct slab_hardened;

#define CLASSES_MAX    124u /* class 0 is nobody's; a slot's region has room for so many: cpu.c */
#define CLASS_WORDS    ((CLASSES_MAX + 63) / 64) /* of a bitmap of classes */
#define BYTE_EMPTYING  0x80u
#define ENTRY_SHIFT    4
#define SHEAF_ROOM_MAX 1024u
#define SHEAF_SMALL_ROOM                                                                           \
	31u /* what a new sheaf keeps at most, and its small place has room for: cpu.c */
#define SLAB_NONE UINT32_MAX
#define BINS_NR	  16u
#define BIN_SHIFT 27 /* a scale times the used objects is below BINS_NR << 27, so 32 bits do */

/* Addresses have a record for each 64 KiB.  That of the first 64 KiB of a slab is the slab's. */
#define SLAB_SHIFT   16u
/* What describes slabs is committed for 16 MiB of addresses together: meta.c. */
#define STEP_RECORDS 256u

/*
 * A slab's record.  Under the lock of its class, except for `class`; a slab that is being made belongs to the
 * thread that makes it.  The map is here if it has at most 320 bits, so for objects of 208 bytes or more, else in
 * slabs->maps: slab_map().
 */
struct slab {
	uint32_t prev, next; /* records, in the list that is named below; SLAB_NONE */
	uint16_t free_nr;    /* objects that are free */
	uint8_t low;	     /* no word of the map below it has a bit */
	uint8_t list;	     /* one of the class's, or LIST_NONE */
	uint8_t class;	     /* atomic: 0, no slab begins here */
	uint8_t flags;	     /* SLAB_... */
	uint64_t unbacked;   /* a bit for each page that has had no user since its memory went */
	uint64_t map[5];     /* by number: set if the object is free */
};
#define RECORD_BYTES 64u /* a cache line; a page has 64 */
#define RECORD_BITS  320u
/* A slab has at most 4,096 objects: slabs of more than 64 KiB are for objects of more than 1 KiB (class.c). */
#define MAP_WORDS    64u
_Static_assert(sizeof(struct slab) == RECORD_BYTES, "a record is all of its cache line");

#define SLAB_EMPTYING 1u /* gets no new users */
#define SLAB_HELD     2u /* memory of its pages is on its way back: no allocation takes from it */

/* A class's lists of slabs that are not full: bins by the share that is used, the fullest last, and two more. */
#define LIST_EMPTY    BINS_NR
#define LIST_EMPTYING (BINS_NR + 1)
#define SLAB_LISTS_NR (BINS_NR + 2)
#define LIST_NONE     0xffu /* full, or held */

/* Objects of a class that belong to no slot: barn.c. */
struct barn {
	struct lock lock; /* RANK_SLAB_BARN */
	lock_token kept;  /* over fork */
	bool held;	  /* by the fork in progress */
	bool used;	  /* under lock: a call exchanged something since the worker's last visit */
	uint32_t put_nr;  /* under lock: objects put since `low` was noted anew */
	uint32_t low;	  /* under lock: the fewest objects since then */
	uint32_t stale;	  /* under lock: objects at the bottom that nobody wanted; at most low */
	uint32_t nr;	  /* under lock; read without it as a hint */
	void **object;	  /* (c) room for barn_room */
};

/* Keys: (c) constant once the class is ready; (l) under lock; (r) written under it, read as a hint. */
struct slab_class {
	/* What every slow path reads. */
	uint32_t size;	     /* (c) bytes from one object to the next: a multiple of 16 */
	uint32_t per_slab;   /* (c) objects in a slab */
	uint32_t reciprocal; /* (c) number = offset * reciprocal >> 32: class.c */
	uint32_t spare;	     /* (c) objects that are kept free beside a share of those in use */
	uint32_t bin_scale;  /* (c) bin = used objects * bin_scale >> BIN_SHIFT */
	uint8_t order;	     /* (c) of its slabs: 4 (64 KiB) or 6 (256 KiB) with pages of 4 KiB */
	uint8_t page_flags;  /* (c) QUIRE_RECLAIMABLE, or 0: QUIRE_MOVABLE is never given */
	uint8_t kind;	     /* (c) class.h: plain, constructed, checked */
	uint8_t place;	     /* (c) of its sheaves, among the small ones: cpu.c */
	uint16_t
		sheaf_first; /* (c) what refills, or spills, in a row alone let a sheaf keep: sheaf.c */
	uint16_t sheaf_most; /* (c) what it may keep at most */
	uint32_t caches_nr;  /* under slabs->mutex: users */

	/* (c) of a class with a constructor, or with poison: runs on each object of a new slab, with no lock of
	 * ours held.  Set by the class's only cache before its first allocation. */
	void (*construct)(void *object, void *arg);
	void *construct_arg;

	struct lock lock;	      /* RANK_SLAB */
	lock_token kept;	      /* (l) over fork */
	bool held;		      /* by the fork in progress */
	uint32_t head[SLAB_LISTS_NR]; /* (l) each list's first slab, or SLAB_NONE */
	uint32_t lists_used;	      /* (l) a bit for each list that is not empty */
	uint32_t empty_nr;	      /* (l) slabs of which nothing is in use, kept for a refill */
	uint32_t empty_least;	      /* (l) the fewest of them since the worker's last visit */
	uint32_t held_nr;	      /* (l) slabs */
	uint32_t turns;	      /* (l) gives and takes since slabs were last chosen for emptying */
	uint64_t slabs_nr;    /* (r) in all */
	uint64_t free_nr;     /* (r) objects that are free */
	uint64_t emptying_nr; /* (r) slabs */
	uint64_t emptying_free_nr; /* (l) objects of them that are free */
	uint32_t moves;		   /* atomic, relaxed: slow paths taken */
	uint32_t moves_seen;	   /* under visit_mutex: at the worker's last visit */
	uint8_t quiet;	     /* under visit_mutex: visits since they changed, up to QUIET_MAX */
	uint8_t fresh_pages; /* (l) the last ones of its first slab: of them no object was taken yet */
	struct barn barn;
} __attribute__((aligned(64)));

/* What one slot knows of one class's sheaf, beside the stack itself. */
struct sheaf {
	uint16_t keeps; /* objects that it accepts while the set is open */
	uint16_t wants; /* times that it was too small since it keeps so many */
	uint16_t seen;	/* objects on it at the worker's last visit */
	uint8_t calm; /* visits since then that found as many; the visit in progress takes from it if not 0 */
	uint8_t refill_streak; /* refills in a row; a spill halves it */
	uint8_t spill_streak;  /* likewise, the other way round */
	bool overflowed;       /* it was full since it was last refilled */
};

/* One slot's sheaves.  Keys: (l) under lock; (r) written under it, read as a hint; (c) constant. */
struct slab_cpu {
	struct lock lock;		 /* RANK_SLAB_CPU: the door.  Sequences do without it */
	lock_token kept;		 /* (l) over fork */
	uint16_t slot;			 /* (c) */
	bool ready;			 /* (r) its region is committed */
	bool warm;			 /* (r) a sheaf keeps something */
	uint32_t keeps_units;		 /* (l) what all sheaves keep, in units of 16 bytes */
	uint64_t refills, spills;	 /* (r) */
	struct sheaf sheaf[CLASSES_MAX]; /* (l) */
} __attribute__((aligned(64)));

struct slabs {
	/* Read by every fast path; constant. */
	char *base;	/* of the instance's pages */
	size_t entries; /* of all addresses; 0 in a child that has no pages */
	uint8_t *byte;	/* by frame; bytes of frames that never had a slab read 0 */
	uint32_t
		fast_flags_end; /* atomic: flags below it may be fast: 1; 0 while every allocation looks */
	uint8_t entry_shift;	  /* from an entry to its frame */
	struct lean_stacks *lean; /* the sheaves: own_lean, or malloc's */
	size_t span_bytes;	  /* from base */

	struct quire *q;
	uint8_t page_shift;
	uint8_t numbered; /* under mutex: classes up to it are malloc's: class_reserve() */
	/* (c) runs on each object of a new slab of malloc's, with its class; NULL: nothing does */
	void (*prepare)(void *object, void *class);
	uint8_t places_nr;     /* under mutex: places that classes have got */
	char *records;	       /* struct slab, by record */
	uint8_t *step_ready;   /* atomic, by step: meta.c */
	uint32_t *step_slabs;  /* atomic, by step: likewise */
	const char *free_call; /* (c) what misuse messages name: the call that frees objects */
	struct slab_cpu *cpu;  /* by slot */
	struct lean_stacks own_lean;
	const uint64_t
		*isolated; /* (c) CPUs that have no sheaves and are not interrupted; NULL: none */
	struct lock close_lock; /* RANK_SLAB_CLOSE */
	lock_token close_kept;	/* over fork */
	uint32_t closed_nr;	/* under close_lock: threads that keep the sheaves closed */
	void **barns;		/* room for barn_room objects of each class */
	uint32_t barn_room;	/* (c) objects of each barn; set before slabs_meta_init() */
	char *meta;		/* reservation of all these arrays: meta.c */
	size_t meta_bytes, self_bytes;

	struct mutex mutex;	   /* RANK_SLAB_CACHES: caches and classes come and go */
	struct mutex unback_mutex; /* RANK_SLAB_UNBACK: memory of slabs' pages is on its way back */
	struct slab_unback *unback; /* under unback_mutex: unback.c's */
	uint64_t due_ns;	    /* atomic: the worker's next visit, or WORK_IDLE */
	uint64_t ticked_ns;	    /* under visit_mutex: its latest visit */
	uint64_t decay_ns;
	uint64_t drains; /* atomic, relaxed */
	uint64_t *
		maps; /* by step, then by record, then by number: free; deferred_map() has the rest */
	uint64_t *deferred_slabs; /* a bit for each record; atomic */
	uint32_t deferred_words;  /* (c) of deferred_slabs */
	uint32_t deferred_any;	  /* atomic: some bit was set and not yet taken */
	uint64_t deferred_total;  /* atomic, relaxed */
	struct pool
		caches; /* under mutex; no lock of its own is taken otherwise, and none by fork */
	uint32_t caches_head; /* under mutex: POOL_NONE */
	bool caches_ready;    /* under mutex: there is a pool */
	char *self;	      /* (c) the mapping that this struct is in */
	/* (c) hardened.c's; NULL unless the instance is hardened.  Slow paths alone look at it. */
	struct slab_hardened *hardened;
	uint64_t *live; /* of a hardened instance: by record, then by number: hardened.h; atomic */
	struct quire_module module;
	/* Atomic, by class: made, and not yet unmade.  Apart, so that who looks for classes reads no page of those that
	 * were never made. */
	bool ready[CLASSES_MAX];
	uint64_t begun[CLASS_WORDS]; /* under mutex: a bit for each class that was ever made */
	struct slab_class class[CLASSES_MAX];
};

/* The instance's slabs, made at the first call; NULL with errno's value in *@error.  May wait. */
struct slabs *slabs_get(struct quire *q, int *error);

#endif
