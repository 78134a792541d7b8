/* SPDX-License-Identifier: MIT */
/* vmap/claim.h - claims of sections that are being committed */
#ifndef VMAP_CLAIM_H
#define VMAP_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include <quire/quire.h>

#include "machine/lock.h"
#include "page/page.h"

struct vmap_request;
struct vmap;

/* Callers that can commit sections at the same time without waiting.  The next one is refused
 * (quire/vmap.h), which requires that 16 threads are in the middle of a system call at once. */
#define CLAIMS_NR 16u

/* Sections that one caller commits: claim.c. */
struct claim {
	struct mutex mutex;  /* RANK_VMAP_CLAIM; unused in claims[0] */
	uint32_t first, end; /* (s) sections [first, end); equal: the claim is free */
};

/* True if a caller with these flags needs a claim of its own, because it may make system calls but
 * must not wait for other claims.  This includes any caller in a pthread_atfork() handler of the
 * program, since holders of other claims wait for the fork. */
static inline bool must_claim(unsigned flags)
{
	if (flags & QUIRE_NOLOCK)
		return false;
	return (flags & FLAGS_NO_MUTEX) || lock_kept();
}
/* The end of the last page in [first, end) that another caller is committing; 0 if there is
 * none. */
uint32_t claim_busy_end_locked(const struct vmap *v, uint32_t first, uint32_t end);
/* If the request's caller must_claim(): claims the sections of pages [first, end) that are not
 * committed; no other caller is committing any of them.  False if all claims are taken.
 * claim_drop_locked() ends the claim if the addresses could not be taken. */
bool claim_take_locked(struct vmap *v, struct vmap_request *request, uint32_t first, uint32_t end);
void claim_drop_locked(struct vmap *v, struct vmap_request *request);
/* For the holder of commit_mutex: claims the next run of sections, from *@first on, that is to be
 * committed for a range that ends at @end.  Waits for other claims of these sections.  The claim is
 * empty if there are none left. */
struct claim *claim_next(struct vmap *v, uint32_t *first, uint32_t end, bool locked);
/* Ends a claim; callers that wait for it continue. */
void claim_put(struct vmap *v, struct claim *claim);
/* For the child of a fork: ends the claims of threads that stayed in the parent. */
void claim_fork_child_locked(struct vmap *v);
/* True if the count of ready sections is right and no section is claimed. */
bool claim_verify_locked(const struct vmap *v);

#endif
