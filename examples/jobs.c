/* SPDX-License-Identifier: MIT */
/*
 * jobs.c - jobs of any size in a container of any size: docs/examples.md
 *
 * A job that needs more memory than the container has is refused and gives back what it had; the next one runs.  An
 * instance without a limit takes what the control group permits.  The group is charged for the rest of the program,
 * too, so such a program may be killed before it is refused: this one leaves room.
 */
#include <errno.h>
#include <quire/page.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MIB	      ((size_t)1 << 20)
#define PIECES_NR_MAX 1024u
#define REST_SHARE                                                                                 \
	4u /* a quarter is for the program's own data, its stacks and the kernel's tables */
#define REST_BYTES_LEAST (8 * MIB)

/* What the system permits this process, as an instance without a limit learns it.  0, or a negative errno. */
static int read_permitted(uint64_t *bytes)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct quire *q;
	int error = quire_create(NULL, &q);

	if (error != 0)
		return error;
	error = quire_page_stat_read(q, &stat);
	if (error == 0)
		*bytes = stat.limit_pages << stat.page_shift;
	quire_destroy(q);
	return error;
}

/* An instance that leaves room for the rest of the program.  0, or a negative errno. */
static int create_within(struct quire **q)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = 0);
	uint64_t permitted_bytes, rest_bytes;
	int error = read_permitted(&permitted_bytes);

	if (error != 0)
		return error;
	rest_bytes = permitted_bytes / REST_SHARE;
	if (rest_bytes < REST_BYTES_LEAST)
		rest_bytes = REST_BYTES_LEAST;
	if (permitted_bytes < 2 * rest_bytes)
		return -ENOMEM;
	options.limit_bytes = permitted_bytes - rest_bytes;
	return quire_create(&options, q);
}

/* ---- the jobs ---- */

struct job {
	struct quire *q;
	unsigned order; /* of a piece: 1 MiB */
	size_t pieces_nr;
	char *piece[PIECES_NR_MAX];
};

static void job_end(struct job *job)
{
	while (job->pieces_nr > 0)
		quire_free_pages(job->q, job->piece[--job->pieces_nr], job->order);
}

/* Takes memory, writes all of it, and gives it back.  0, or -ENOMEM. */
static int job_run(struct job *job, size_t pieces_nr)
{
	while (job->pieces_nr < pieces_nr) {
		char *piece = quire_alloc_pages(job->q, job->order, QUIRE_MOVABLE);

		if (piece == NULL) {
			job_end(job);
			return -ENOMEM;
		}
		memset(piece, 'j', MIB);
		job->piece[job->pieces_nr++] = piece;
	}
	job_end(job);
	return 0;
}

int main(void)
{
	static const size_t jobs[] = { 8, 80, 24 }; /* MiB */
	struct job job = { .pieces_nr = 0 };
	unsigned done = 0;
	int error = create_within(&job.q);

	if (error != 0) {
		fprintf(stderr, "jobs: cannot begin: %s\n", strerror(-error));
		return 1;
	}
	while (quire_page_bytes(job.q) << job.order < MIB)
		job.order++;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		error = job_run(&job, jobs[i]);
		printf("a job of %zu MiB is %s\n", jobs[i], error == 0 ? "done" : "refused");
		done += error == 0;
	}
	quire_destroy(job.q);
	return done > 0 ? 0 : 1;
}
