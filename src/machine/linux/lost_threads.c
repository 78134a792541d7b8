/* SPDX-License-Identifier: MIT */
/* lost_threads.c - counts threads at fork */
#include "machine/linux/lost_threads.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "machine/atomic.h"
#include "machine/linux/system.h"

static struct {
	/* Atomic.  A beginning is counted late and an end early, so there are never too many workers: one too few makes
	 * the child do without. */
	uint64_t workers_begun, workers_ended;
	uint32_t is_lost; /* atomic */
	bool would_lose;  /* the fork in progress; under RANK_INSTANCES */
} threads;

bool lost_threads(void)
{
	return load_relaxed(&threads.is_lost) != 0;
}

void lost_threads_worker_begun(void)
{
	/* This and the next pair with lost_threads_fork_prepare(). */
	(void)fetch_add_acq_rel(&threads.workers_begun, UINT64_C(1));
}

void lost_threads_worker_ends(void)
{
	(void)fetch_add_acq_rel(&threads.workers_ended, UINT64_C(1));
}

/* Each thread is a folder there, hence a link. */
static uint64_t count_threads(void)
{
	struct stat folder;
	long error = SYSTEM_CALL(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &folder, 0);

	return error == 0 && folder.st_nlink > 2 ? folder.st_nlink - 2 : UINT64_MAX;
}

void lost_threads_fork_prepare(void)
{
	uint64_t ended = load_acquire(&threads.workers_ended);
	uint64_t begun = load_acquire(&threads.workers_begun);
	uint64_t threads_nr = count_threads();

	/* A worker that began or ended meanwhile may be counted on one side alone. */
	threads.would_lose = load_acquire(&threads.workers_begun) != begun ||
			     load_acquire(&threads.workers_ended) != ended ||
			     threads_nr != 1 + begun - ended;
}

void lost_threads_say(void)
{
	store_relaxed(&threads.is_lost, UINT32_C(1));
}

void lost_threads_fork_child(void)
{
	store_relaxed(&threads.workers_begun, UINT64_C(0));
	store_relaxed(&threads.workers_ended, UINT64_C(0));
	if (threads.would_lose)
		lost_threads_say();
}
