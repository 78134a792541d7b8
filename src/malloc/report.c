/* SPDX-License-Identifier: MIT */
/*
 * report.c - counting for `quire run`
 *
 * Only a program that counts calls anything here: malloc's limit stays 0 then, so every call takes the path
 * that counts, and programs that do not count have no instruction for it.
 *
 * Peak.  What is in use is a sum over shards, which no call can afford to make.  Each shard collects what it
 * holds more or less than it has told, and tells the part when that is more than pending_max: a 256th of what
 * is in use, divided by the CPUs, so that all shards together hide no more than a 256th.
 *
 * Sizes at the peak.  The rows are copied on the way down: when less than 63/64 of the peak is left, and
 * nothing was copied since that peak, they are still what they were at the peak up to a 64th.  Of a peak that
 * was never left by that much, the rows as they are say it.  Two copies, and the index of the valid one is
 * stored last, so that one is whole whenever the process is killed.
 */
#include "malloc/report.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/handed.h"
#include "machine/mem.h"
#include "machine/observed.h"
#include "machine/process.h"
#include "malloc/run_environment.h"

/* Less is not worth a shared line: 16 blocks of the commonest size. */
#define PENDING_MIN   1024u
#define PENDING_SHARE 256u

/* Shards beyond the CPUs are never written: reading them would only take memory. */
static unsigned shards_nr(const struct report_part *part)
{
	uint32_t cpus = load_relaxed(&part->cpus_nr);

	return cpus < REPORT_SHARDS_NR ? cpus : REPORT_SHARDS_NR;
}

static struct report_shard *shard_of(struct report_part *part, unsigned cpu)
{
	return &part->shard[cpu % shards_nr(part)];
}

static int64_t row_sum(const struct report_part *part, unsigned row)
{
	int64_t bytes = 0;

	for (unsigned i = 0; i < shards_nr(part); i++)
		bytes += load_relaxed(&part->shard[i].row_bytes[row]);
	return bytes;
}

/* ---- counting -------------------------------------------------------------------------------- */

/* A thread that finds another one copying has nothing to add. */
static void copy_rows(struct report_part *part, int64_t peak_bytes)
{
	uint32_t idx;

	if (exchange_acquire(&part->is_copying, 1) != 0)
		return;
	idx = load_relaxed(&part->peak_idx) + 1;
	for (unsigned row = 0; row < REPORT_ROWS_NR; row++)
		store_relaxed(&part->peak_rows[idx & 1][row], row_sum(part, row));
	store_release(&part->peak_idx, idx); /* pairs with the parent's load */
	store_relaxed(&part->peak_rows_bytes, peak_bytes);
	store_release(&part->is_copying, 0); /* pairs with the exchange above */
}

static void raise_peak(struct report_part *part, int64_t used_bytes)
{
	int64_t peak = load_relaxed(&part->peak_bytes);

	while (used_bytes > peak && !cas_relaxed(&part->peak_bytes, &peak, used_bytes))
		;
	if (used_bytes < peak - peak / 64 && load_relaxed(&part->peak_rows_bytes) != peak)
		copy_rows(part, peak);
}

static void tell(struct report_part *part, struct report_shard *shard)
{
	int64_t pending = exchange_acq_rel(&shard->pending_bytes, 0);
	int64_t used = fetch_add_relaxed(&part->used_bytes, pending) + pending;
	uint64_t share = (used > 0 ? (uint64_t)used : 0) / (PENDING_SHARE * shards_nr(part));

	raise_peak(part, used);
	store_relaxed(&part->pending_max, share > PENDING_MIN ? share : PENDING_MIN);
}

static void collect(struct report_part *part, struct report_shard *shard, int64_t bytes)
{
	int64_t max = (int64_t)load_relaxed(&part->pending_max);
	int64_t pending = fetch_add_relaxed(&shard->pending_bytes, bytes) + bytes;

	if (pending > max || pending < -max)
		tell(part, shard);
}

void report_call(struct report_part *part, unsigned cpu, bool slow)
{
	struct report_shard *shard = shard_of(part, cpu);

	fetch_add_relaxed(&shard->calls_nr, 1u);
	if (slow)
		fetch_add_relaxed(&shard->slow_nr, 1u);
}

void report_hold(struct report_part *part, unsigned cpu, unsigned row, size_t bytes)
{
	struct report_shard *shard = shard_of(part, cpu);

	CHECK(row < REPORT_ROWS_NR);
	if (row < REPORT_CLASSES_NR && load_relaxed(&part->class_bytes[row]) != bytes)
		store_relaxed(&part->class_bytes[row], (uint32_t)bytes);
	fetch_add_relaxed(&shard->row_bytes[row], (int64_t)bytes);
	collect(part, shard, (int64_t)bytes);
}

void report_drop(struct report_part *part, unsigned cpu, unsigned row, size_t bytes)
{
	struct report_shard *shard = shard_of(part, cpu);

	CHECK(row < REPORT_ROWS_NR);
	/* In this order: if this is what ends the peak, the block was in use at it. */
	collect(part, shard, -(int64_t)bytes);
	fetch_sub_relaxed(&shard->row_bytes[row], (int64_t)bytes);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool is_ours(const struct report_header *header, const struct run_request *request)
{
	return header->magic == REPORT_MAGIC && header->version == REPORT_VERSION &&
	       header->cookie == request->cookie && header->parts_nr <= REPORT_PARTS_NR;
}

static struct report_header *map_header(int fd, const struct run_request *request)
{
	struct report_header *header = handed_map(fd, 0, sizeof(*header));

	if (header == NULL || is_ours(header, request))
		return header;
	handed_unmap(header, sizeof(*header));
	return NULL;
}

/* This process's part: the program's own; or one that it had before exec, or a free one.  NULL: none is left. */
static struct report_owner *take_part(struct report_header *header, uint64_t who)
{
	if (owner_is(load_relaxed(&header->program_who), who))
		return &header->owner[0];
	for (unsigned idx = 1; idx < header->parts_nr; idx++)
		if (owner_is(load_relaxed(&header->owner[idx].who), who))
			return &header->owner[idx];
	for (unsigned idx = 1; idx < header->parts_nr; idx++) {
		uint64_t nobody = 0;

		if (cas_acq_rel(&header->owner[idx].who, &nobody,
				who)) /* pairs with the command's store */
			return &header->owner[idx];
	}
	if (header->parts_nr > 1)
		fetch_add_relaxed(&header->uncounted_nr, 1u);
	return NULL;
}

/* What a child of fork holds when it begins. */
static void inherit(struct report_part *part, const struct report_part *parent)
{
	int64_t used = 0;

	for (unsigned row = 0; row < REPORT_ROWS_NR; row++) {
		int64_t bytes = row_sum(parent, row);

		if (bytes != 0)
			part->shard[0].row_bytes[row] = bytes;
		used += bytes;
	}
	memcpy(part->class_bytes, parent->class_bytes, sizeof(part->class_bytes));
	part->used_bytes = used;
	part->peak_bytes = used;
}

/* Written as the part is. */
static struct report_profile profile;

struct report_profile report_profile(void)
{
	return profile;
}

/* The program's own, of which a former image has left nothing. */
static void map_profile(int fd, const struct report_header *header)
{
	profile.shift = header->profile_shift;
	if (profile.shift == 0)
		return;
	profile.memory = handed_map(fd, report_part_offset(header->parts_nr), REPORT_PROFILE_BYTES);
	if (profile.memory != NULL && load_relaxed(&header->owner[0].images_nr) != 0)
		handed_empty(profile.memory, REPORT_PROFILE_BYTES);
}

static struct report_part *begin_part(int fd, struct report_header *header,
				      const struct report_part *parent)
{
	uint32_t pid = handed_pid();
	uint64_t who = owner_word(pid, observed_start_ticks(0));
	struct report_owner *owner = take_part(header, who);
	struct report_part *part;
	unsigned cpus;

	if (owner == NULL)
		return NULL;
	store_relaxed(&owner->program, handed_program(pid));
	if (header->parts_nr == 0) {
		fetch_add_relaxed(&owner->images_nr, 1u);
		return NULL;
	}
	part = handed_map(fd, report_part_offset((unsigned)(owner - header->owner)), sizeof(*part));
	if (part == NULL)
		return NULL;
	if (load_relaxed(&owner->images_nr) != 0)
		handed_empty(part, sizeof(*part));
	cpus = process_cpus_possible();
	part->cpus_nr = cpus != 0 ? cpus : 1;
	part->pending_max = PENDING_MIN;
	if (parent != NULL)
		inherit(part, parent);
	else if (owner == &header->owner[0])
		map_profile(fd, header);
	gather_count(&part->given_back_bytes);
	store_relaxed(&owner->who, who);
	/* Pairs with the command's load: all is written. */
	fetch_add_acq_rel(&owner->images_nr, 1u);
	return part;
}

bool report_is_wanted(struct run_request *request)
{
	const char *value = process_env(REPORT_VARIABLE);

	return value != NULL && run_request_parse(value, request) && request->pid != 0;
}

static void close_header(struct report_header *header, int fd)
{
	if (header != NULL)
		handed_unmap(header, sizeof(*header));
	handed_close(fd);
}

/* The command's memory, of which @fd is to be closed; NULL: there is none, or it is of another pid namespace. */
static struct report_header *open_header(const struct run_request *request, int *fd)
{
	struct report_header *header;

	/* The program was started with it, and it is ours to close; its children look it up. */
	*fd = (int)request->fd;
	header = map_header(*fd, request);
	if (header == NULL) {
		*fd = handed_open(request->pid, request->fd);
		if (*fd < 0)
			return NULL;
		header = map_header(*fd, request);
	}
	if (header != NULL && header->pids_space == handed_pids_space())
		return header;
	close_header(header, *fd);
	return NULL;
}

struct report_part *report_begin(const struct report_part *parent)
{
	struct report_header *header;
	struct report_part *part = NULL;
	struct run_request request;
	int fd;

	profile = (struct report_profile){ .memory = NULL };
	if (parent != NULL) /* not in its part any more */
		gather_count(NULL);
	if (!report_is_wanted(&request))
		return NULL;
	if (parent != NULL && request.once)
		return NULL;
	header = open_header(&request, &fd);
	if (header == NULL)
		return NULL;
	part = begin_part(fd, header, parent);
	close_header(header, fd);
	return part;
}

int report_open_recording(const struct run_request *request)
{
	int fd, spool = -1;
	struct report_header *header = open_header(request, &fd);

	if (header == NULL)
		return -1;
	if (header->recording_fd != 0)
		spool = handed_open(request->pid, header->recording_fd);
	close_header(header, fd);
	return spool;
}
