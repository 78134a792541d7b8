/* SPDX-License-Identifier: MIT */
/*
 * vmap/claim.c - claiming sections before they are committed
 *
 * One caller commits a section, without the lock, before any area can use it: a late commit would
 * undo guards that are mappings.  So a caller claims the sections first, under the lock:
 *
 *   section   when                                                        to
 *   unused    the caller may wait: it holds commit_mutex, has the         claimed
 *             addresses, and waits for other claims of the section
 *   unused    the caller may not wait: it also takes the addresses        claimed
 *   claimed   committed, and published                                    ready
 *   claimed   the system refused, or more was claimed than is wanted      unused
 *   claimed   fork: its caller stayed in the parent                       unused, in the child
 *
 * A caller that may not wait skips sections that another caller has claimed and uses the addresses
 * beyond them.  So it is refused only if addresses or memory run out, not because another caller is
 * committing.  The skipped addresses stay free, and are the first choice once they are ready.
 *
 * Each claim has a mutex, held while the claim lasts, which the claiming caller never waits for;
 * claims[0] belongs to the holder of commit_mutex.  A caller that may wait and finds a section
 * claimed waits for that mutex.  Fork takes only commit_mutex; in the child the other claims have
 * no owner.
 */
#include "vmap/claim.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "vmap/commit.h"
#include "vmap/dense.h"
#include "vmap/request.h"
#include "vmap/vmap.h"

/* The claim that includes the section, or NULL. */
static struct claim *claim_of_locked(struct vmap *v, uint32_t section)
{
	CHECK(lock_is_held(&v->lock));
	for (unsigned i = 0; i <= CLAIMS_NR; i++)
		if (section >= v->claims[i].first && section < v->claims[i].end)
			return &v->claims[i];
	return NULL;
}

static unsigned region_of(const struct vmap *v, uint32_t section)
{
	uint32_t page = section << section_page_shift(v);

	return page < v->region_start[REGION_MIDDLE]  ? REGION_SMALL
	       : page < v->region_start[REGION_LARGE] ? REGION_MIDDLE
						      : REGION_LARGE;
}

/* The end of the run of sections from @first that can be committed at once: up to @wanted_end, or
 * @ahead sections if that is more; in one region, not ready, and not claimed. */
static uint32_t run_end_locked(struct vmap *v, uint32_t first, uint32_t wanted_end, uint32_t ahead)
{
	uint32_t sections = v->span_pages >> section_page_shift(v), end = first;

	CHECK(lock_is_held(&v->lock));
	while (end < sections && !section_is_ready(v, end) &&
	       region_of(v, end) == region_of(v, first) &&
	       (end < wanted_end || end - first < ahead) && claim_of_locked(v, end) == NULL)
		end++;
	return end;
}

/* An eighth of the sections that are ready. */
static uint32_t ahead_wanted(const struct vmap *v)
{
	uint32_t ahead = load_relaxed(&v->sections_ready) / 8;

	return ahead < SECTIONS_AT_ONCE ? ahead : SECTIONS_AT_ONCE;
}

/* ---- callers that may not wait ---- */

uint32_t claim_busy_end_locked(const struct vmap *v, uint32_t first, uint32_t end)
{
	unsigned shift = section_page_shift(v);
	uint32_t busy_end = 0;

	CHECK(lock_is_held(&v->lock));
	for (unsigned i = 0; i <= CLAIMS_NR; i++) {
		const struct claim *claim = &v->claims[i];

		if (claim->first < claim->end && claim->first << shift < end &&
		    claim->end << shift > first && claim->end << shift > busy_end)
			busy_end = claim->end << shift;
	}
	return busy_end;
}

static struct claim *unused_claim_locked(struct vmap *v)
{
	CHECK(lock_is_held(&v->lock));
	for (unsigned i = 1; i <= CLAIMS_NR; i++)
		if (v->claims[i].first == v->claims[i].end && mutex_try(&v->claims[i].mutex))
			return &v->claims[i];
	return NULL;
}

bool claim_take_locked(struct vmap *v, struct vmap_request *request, uint32_t first, uint32_t end)
{
	unsigned shift = section_page_shift(v);

	CHECK(lock_is_held(&v->lock));
	request->claim = NULL;
	first >>= shift;
	end = ((end - 1) >> shift) + 1;
	while (first < end && section_is_ready(v, first))
		first++;
	while (first < end && section_is_ready(v, end - 1))
		end--;
	if (first == end)
		return true;
	request->claim = unused_claim_locked(v);
	if (request->claim == NULL)
		return false;
	/* Also claim sections beyond, if all form one run. */
	if (run_end_locked(v, first, end, 0) == end)
		end = run_end_locked(v, first, end, ahead_wanted(v));
	request->claim->first = first;
	request->claim->end = end;
	return true;
}

void claim_drop_locked(struct vmap *v, struct vmap_request *request)
{
	struct claim *claim = request->claim;

	CHECK(lock_is_held(&v->lock));
	if (claim == NULL)
		return;
	request->claim = NULL;
	claim->first = claim->end = 0;
	mutex_release(&claim->mutex);
}

/* ---- callers that may wait ---- */

struct claim *claim_next(struct vmap *v, uint32_t *first, uint32_t end, bool locked)
{
	struct claim *own = &v->claims[0], *others;
	lock_token token;

	CHECK(mutex_is_held(&v->commit_mutex));
	for (;;) {
		token = lock_acquire(&v->lock);
		while (*first < end && section_is_ready(v, *first))
			(*first)++;
		others = *first < end ? claim_of_locked(v, *first) : NULL;
		if (others == NULL)
			break;
		lock_release(&v->lock, token);
		mutex_acquire(&others->mutex);
		mutex_release(&others->mutex);
	}
	own->first = own->end = *first;
	if (*first < end)
		own->end = run_end_locked(v, *first, end, locked ? 0 : ahead_wanted(v));
	lock_release(&v->lock, token);
	return own;
}

void claim_put(struct vmap *v, struct claim *claim)
{
	lock_token token = lock_acquire(&v->lock);

	claim->first = claim->end = 0;
	lock_release(&v->lock, token);
	if (claim != &v->claims[0])
		mutex_release(&claim->mutex);
}

/* ---- fork, checking ---- */

static uint32_t count_ready(const struct vmap *v)
{
	uint32_t ready = 0;

	for (uint32_t i = 0; i < v->span_pages >> section_page_shift(v); i++)
		ready += section_is_ready(v, i);
	return ready;
}

void claim_fork_child_locked(struct vmap *v)
{
	bool had = false;

	CHECK(lock_is_held(&v->lock));
	for (unsigned i = 1; i <= CLAIMS_NR; i++) {
		had |= v->claims[i].first != v->claims[i].end;
		v->claims[i].first = v->claims[i].end = 0;
		mutex_init(&v->claims[i].mutex, RANK_VMAP_CLAIM);
	}
	if (!had)
		return;
	/* The claimer may have been about to count published sections, or to note uncounted
	 * advice. */
	store_relaxed(&v->sections_ready, count_ready(v));
	store_relaxed(&v->uncounted, true);
}

bool claim_verify_locked(const struct vmap *v)
{
	CHECK(lock_is_held(&v->lock));
	for (unsigned i = 0; i <= CLAIMS_NR; i++)
		if (v->claims[i].first != v->claims[i].end)
			return false;
	return count_ready(v) == load_relaxed(&v->sections_ready);
}
