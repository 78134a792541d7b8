/* SPDX-License-Identifier: MIT */
/* vmap/claim.h - who commits which sections */
#ifndef VMAP_CLAIM_H
#define VMAP_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include <quire/quire.h>

#include "machine/lock.h"
#include "page/page.h"

struct vmap_request;
struct vmap;

/* Callers at a time that commit sections without waiting for who does already.  One more is refused
 * (quire/vmap.h), which takes 16 threads at once in the middle of a system call. */
#define CLAIMS_NR 16u

/* Sections that one caller commits: claim.c. */
struct claim {
	struct mutex mutex;  /* RANK_VMAP_CLAIM; of the first, unused */
	uint32_t first, end; /* (s) equal: nobody's */
};

/* Does a caller with these flags commit by a claim of its own?  It may make system calls, and may not wait
 * for other claims: so it is also in a handler of others during a fork, for which their holders wait. */
static inline bool must_claim(unsigned flags)
{
	if (flags & QUIRE_NOLOCK)
		return false;
	return (flags & FLAGS_NO_MUTEX) || lock_kept();
}
/* Of pages [first, end): the page behind the last that somebody else is committing; 0 if there is none. */
uint32_t claim_busy_end_locked(const struct vmap *v, uint32_t first, uint32_t end);
/* For a request whose caller must_claim(): claims what is not committed of pages that nobody is committing.
 * False: too many are at it.  claim_drop_locked(): the addresses were not had. */
bool claim_take_locked(struct vmap *v, struct vmap_request *request, uint32_t first, uint32_t end);
void claim_drop_locked(struct vmap *v, struct vmap_request *request);
/* The next run of sections, from *@first on, that the holder of commit_mutex is to commit for a range
 * which ends at @end; waits for who has claimed it.  Empty: there is none. */
struct claim *claim_next(struct vmap *v, uint32_t *first, uint32_t end, bool locked);
/* Ends a claim; what waits for it goes on. */
void claim_put(struct vmap *v, struct claim *claim);
/* Whoever had a claim stayed in the parent. */
void claim_fork_child_locked(struct vmap *v);
/* The number of sections that are ready is right, and nobody has a claim. */
bool claim_verify_locked(const struct vmap *v);

#endif
