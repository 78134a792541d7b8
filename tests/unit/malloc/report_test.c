/* SPDX-License-Identifier: MIT */
/* report_test.c - counting for `quire run`, from a file of memory as the command makes it */
#include "quire_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/handed.h"
#include "machine/mem.h"
#include "machine/observed.h"
#include "malloc/report.h"
#include "malloc/run_environment.h"

#define COOKIE 0xc0ffee0123456789u

/* ---- what the command does ------------------------------------------------------------------- */

struct handover {
	int fd, given_fd; /* as the command and as the program has it */
	struct report_header *header;
};

static struct report_part *part_seen(const struct handover *handover, unsigned idx)
{
	return (struct report_part *)(void *)((char *)handover->header + report_part_offset(idx));
}

static void name_handover(const struct handover *handover, const char *mode, uint64_t cookie)
{
	char value[128];

	snprintf(value, sizeof(value), "%s,%d,%d,%llx,", mode, getpid(), handover->given_fd,
		 (unsigned long long)cookie);
	assert_int_equal(setenv(REPORT_VARIABLE, value, 1), 0);
}

static uint64_t own_who(void)
{
	return owner_word((uint32_t)getpid(), observed_start_ticks(0));
}

static struct handover hand_over(uint32_t parts_nr)
{
	struct handover handover = { .fd = memfd_create("test", MFD_ALLOW_SEALING) };
	size_t bytes = report_part_offset(REPORT_PARTS_NR);

	assert_int_equal(ftruncate(handover.fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(handover.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	handover.given_fd = dup(handover.fd);
	handover.header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, handover.fd, 0);
	assert_true(handover.header != MAP_FAILED);
	*handover.header = (struct report_header){ .magic = REPORT_MAGIC,
						   .version = REPORT_VERSION,
						   .program_who = own_who(),
						   .cookie = COOKIE,
						   .pids_space = handed_pids_space(),
						   .parts_nr = parts_nr };
	name_handover(&handover, parts_nr > 1 ? "all" : "once", COOKIE);
	return handover;
}

static void end_handover(const struct handover *handover)
{
	munmap(handover->header, report_part_offset(REPORT_PARTS_NR));
	close(handover->fd);
	close(handover->given_fd);
	unsetenv(REPORT_VARIABLE);
}

static int64_t rows_sum(const struct report_part *part, unsigned row)
{
	int64_t bytes = 0;

	for (unsigned i = 0; i < REPORT_SHARDS_NR; i++)
		bytes += part->shard[i].row_bytes[row];
	return bytes;
}

/* ---- counting -------------------------------------------------------------------------------- */

static void counts_reach_the_command(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);
	const struct report_part *seen = part_seen(&handover, 0);

	(void)state;
	assert_non_null(part);
	assert_int_equal(fcntl(handover.given_fd, F_GETFD),
			 -1); /* the program's descriptors are as before */
	assert_u64_eq(handover.header->owner[0].who, own_who());
	assert_u64_eq(handover.header->owner[0].images_nr, 1);
	report_call(part, 0, false);
	report_call(part, 1, true);
	report_hold(part, 0, 4, 64);
	report_hold(part, 1, 4, 64);
	report_hold(part, 1, report_large_row(100000), 100000);
	report_drop(part, 1, 4, 64);
	assert_int_equal(rows_sum(seen, 4), 64);
	assert_int_equal(rows_sum(seen, report_large_row(65536)), 100000);
	assert_u64_eq(seen->class_bytes[4], 64);
	assert_true(seen->peak_bytes >= 100000);
	end_handover(&handover);
}

/* The row of the largest size, and sizes around a power of two. */
static void large_blocks_have_a_row_each_power_of_two(void **state)
{
	(void)state;
	assert_int_equal(report_large_row(65536), 144);
	assert_int_equal(report_large_row(131071), 144);
	assert_int_equal(report_large_row(131072), 145);
	assert_int_equal(report_large_row(0), 128);
	assert_int_equal(report_large_row(SIZE_MAX), REPORT_ROWS_NR - 1);
}

/* Ten thousand blocks come and go on changing CPUs; the peak is known up to a 256th. */
static void the_peak_is_right_up_to_a_256th(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);
	int64_t peak = 10000 * 512;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		report_hold(part, i, 32, 512);
	for (unsigned i = 0; i < 10000; i++)
		report_drop(part, i / 3, 32, 512);
	assert_true(part->peak_bytes <= peak);
	assert_true(part->peak_bytes >= peak - peak / 256);
	assert_int_equal(rows_sum(part, 32), 0);
	end_handover(&handover);
}

/* Of what was in use at the peak, the sizes stay known after all was freed, up to a 64th and what is pending. */
static void the_sizes_at_the_peak_are_kept(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);
	int64_t rows;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		report_hold(part, 0, 8, 128);
		report_hold(part, 1, 16, 256);
	}
	for (unsigned i = 0; i < 1000; i++) {
		report_drop(part, 1, 8, 128);
		report_drop(part, 0, 16, 256);
	}
	report_hold(part, 0, 9, 144);
	assert_int_equal(part->peak_rows_bytes, part->peak_bytes);
	rows = part->peak_rows[part->peak_idx & 1][8];
	assert_true(rows <= 128000 && rows >= 128000 - 128000 / 32);
	rows = part->peak_rows[part->peak_idx & 1][16];
	assert_true(rows <= 256000 && rows >= 256000 - 256000 / 32);
	assert_int_equal(part->peak_rows[part->peak_idx & 1][9], 0);
	end_handover(&handover);
}

/* The block whose end ends the peak was in use at it. */
static void the_last_block_of_the_peak_is_in_it(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);
	unsigned row = report_large_row(MIB(3));

	(void)state;
	report_hold(part, 0, row, MIB(3));
	report_drop(part, 1, row, MIB(3));
	assert_int_equal(part->peak_bytes, MIB(3));
	assert_int_equal(part->peak_rows[part->peak_idx & 1][row], MIB(3));
	assert_int_equal(rows_sum(part, row), 0);
	end_handover(&handover);
}

/* What any gather gives back is the process's; a child that is not counted adds nothing to its parent's part. */
static void memory_given_back_is_counted(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);
	size_t bytes = 4 * mem_page_bytes();
	void *addr = mem_map(bytes, "quire-test");
	struct mem_range range;
	struct gather gather;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		gather_begin(&gather, &range, 1);
		gather_unback(&gather, addr, bytes);
		assert_u64_eq(gather_finish(&gather), bytes);
		assert_u64_eq(part_seen(&handover, 0)->given_back_bytes, bytes);
		assert_null(report_begin(part)); /* as in a child */
	}
	mem_release(addr, bytes);
	end_handover(&handover);
}

static void count_on_a_cpu(unsigned index, void *arg)
{
	for (unsigned i = 0; i < 20000; i++) {
		report_call(arg, index, i % 10 == 0);
		report_hold(arg, index, 4, 64);
		report_drop(arg, index + 1, 4, 64);
	}
}

static void threads_lose_no_count(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);
	uint64_t calls = 0, slow = 0;
	int64_t pending = 0;

	(void)state;
	team_run(4, count_on_a_cpu, part);
	for (unsigned i = 0; i < REPORT_SHARDS_NR; i++) {
		calls += part->shard[i].calls_nr;
		slow += part->shard[i].slow_nr;
		pending += part->shard[i].pending_bytes;
	}
	assert_u64_eq(calls, 80000);
	assert_u64_eq(slow, 8000);
	assert_int_equal(rows_sum(part, 4), 0);
	assert_int_equal(part->used_bytes + pending, 0);
	end_handover(&handover);
}

/* ---- who is counted -------------------------------------------------------------------------- */

static void nobody_counts_unasked(void **state)
{
	struct handover handover = hand_over(1);

	(void)state;
	name_handover(&handover, "once", COOKIE + 1);
	assert_null(report_begin(NULL));
	name_handover(&handover, "twice", COOKIE);
	assert_null(report_begin(NULL));
	name_handover(&handover, "once", COOKIE);
	handover.header->version++;
	assert_null(report_begin(NULL));
	handover.header->version--;
	handover.header->pids_space++;
	assert_null(report_begin(NULL));
	handover.header->pids_space--;
	handover.header->program_who++; /* somebody else is the program */
	assert_null(report_begin(NULL));
	unsetenv(REPORT_VARIABLE);
	assert_null(report_begin(NULL));
	assert_u64_eq(handover.header->owner[0].images_nr, 0);
	end_handover(&handover);
}

/* What the number names may be another file by now: it is left alone. */
static void a_file_that_may_shrink_is_not_touched(void **state)
{
	struct handover handover = hand_over(1);
	int other = memfd_create("other", MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(other, 1 << 20), 0);
	assert_int_equal(dup2(other, handover.given_fd), handover.given_fd);
	assert_null(report_begin(
		NULL)); /* this process's own table has the same file under that number */
	assert_int_equal(fcntl(handover.given_fd, F_GETFD), 0);
	assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_null(report_begin(NULL));
	close(other);
	end_handover(&handover);
}

/* The descriptor was closed: it is found in the process that handed it over. */
static void a_closed_descriptor_is_looked_up(void **state)
{
	struct handover handover = hand_over(1);

	(void)state;
	close(handover.given_fd);
	handover.given_fd = handover.fd;
	name_handover(&handover, "once", COOKIE);
	if (child_fork() == 0) {
		handover.header->program_who = own_who();
		close(handover.fd);
		report_call(report_begin(NULL), 0, true);
		_exit(0);
	}
	assert_int_equal(wait(NULL) > 0, 1);
	assert_u64_eq(part_seen(&handover, 0)->shard[0].calls_nr, 1);
	handover.given_fd = -1;
	end_handover(&handover);
}

static void a_child_counts_from_what_it_inherits(void **state)
{
	struct handover handover = hand_over(REPORT_PARTS_NR);
	struct report_part *part;
	pid_t child;

	(void)state;
	part = report_begin(NULL);
	report_hold(part, 1, 4, 640);
	dup2(handover.fd, handover.given_fd); /* this process is the command, too, which keeps it */
	child = child_fork();
	if (child == 0) {
		part = report_begin(part);
		report_drop(part, 0, 4, 64);
		report_call(part, 0, false);
		_exit(0);
	}
	assert_int_equal(child_wait(child), 0);
	assert_u64_eq(owner_pid(handover.header->owner[1].who), child);
	assert_int_equal(rows_sum(part_seen(&handover, 1), 4), 576);
	assert_int_equal(rows_sum(part_seen(&handover, 0), 4), 640);
	assert_u64_eq(part_seen(&handover, 0)->shard[0].calls_nr, 0);
	end_handover(&handover);
}

static void a_child_is_not_counted_unless_asked(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);

	(void)state;
	assert_non_null(part);
	assert_null(report_begin(part));
	end_handover(&handover);
}

static void another_image_begins_anew(void **state)
{
	struct handover handover = hand_over(1);
	struct report_part *part = report_begin(NULL);

	(void)state;
	report_hold(part, 0, 4, 640);
	handover.given_fd = dup(handover.fd);
	name_handover(&handover, "once", COOKIE);
	part = report_begin(NULL);
	assert_non_null(part);
	assert_u64_eq(handover.header->owner[0].images_nr, 2);
	assert_int_equal(rows_sum(part, 4), 0);
	end_handover(&handover);
}

/* Of a program and of a child that ended, whose part the command has not taken back yet. */
static void a_pid_that_is_used_again_gets_no_others_part(void **state)
{
	struct handover handover = hand_over(REPORT_PARTS_NR);
	const uint64_t other = owner_word((uint32_t)getpid(), observed_start_ticks(0) - 1);
	struct report_part *part;

	(void)state;
	assert_true(owner_start_ticks(other) != 0);
	handover.header->program_who = other;
	handover.header->owner[1] = (struct report_owner){ .who = other, .images_nr = 1 };
	part_seen(&handover, 1)->used_bytes = 640;
	part = report_begin(NULL);
	assert_non_null(part);
	report_call(part, 0, false);
	assert_u64_eq(handover.header->owner[0].images_nr, 0);
	assert_u64_eq(handover.header->owner[1].who, other);
	assert_u64_eq(handover.header->owner[1].images_nr, 1);
	assert_int_equal(part_seen(&handover, 1)->used_bytes, 640);
	assert_u64_eq(handover.header->owner[2].who, own_who());
	assert_u64_eq(part_seen(&handover, 2)->shard[0].calls_nr, 1);
	end_handover(&handover);
}

/* As without /proc: one that began at an unknown time is the one that has the pid. */
static void a_process_whose_beginning_is_not_known_keeps_its_part(void **state)
{
	struct handover handover = hand_over(REPORT_PARTS_NR);

	(void)state;
	handover.header->program_who = 1;
	handover.header->owner[2] =
		(struct report_owner){ .who = (uint32_t)getpid(), .images_nr = 1 };
	assert_non_null(report_begin(NULL));
	assert_u64_eq(handover.header->owner[1].who, 0);
	assert_u64_eq(handover.header->owner[2].images_nr, 2);
	end_handover(&handover);
}

static void a_process_without_a_part_is_counted_as_such(void **state)
{
	struct handover handover = hand_over(2);

	(void)state;
	handover.header->program_who = 1;
	handover.header->owner[1].who = 1;
	assert_null(report_begin(NULL));
	assert_u64_eq(handover.header->uncounted_nr, 1);
	end_handover(&handover);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_reach_the_command),
		cmocka_unit_test(large_blocks_have_a_row_each_power_of_two),
		cmocka_unit_test(the_peak_is_right_up_to_a_256th),
		cmocka_unit_test(the_sizes_at_the_peak_are_kept),
		cmocka_unit_test(the_last_block_of_the_peak_is_in_it),
		cmocka_unit_test(memory_given_back_is_counted),
		cmocka_unit_test(threads_lose_no_count),
		cmocka_unit_test(nobody_counts_unasked),
		cmocka_unit_test(a_file_that_may_shrink_is_not_touched),
		cmocka_unit_test(a_closed_descriptor_is_looked_up),
		cmocka_unit_test(a_child_counts_from_what_it_inherits),
		cmocka_unit_test(a_child_is_not_counted_unless_asked),
		cmocka_unit_test(another_image_begins_anew),
		cmocka_unit_test(a_pid_that_is_used_again_gets_no_others_part),
		cmocka_unit_test(a_process_whose_beginning_is_not_known_keeps_its_part),
		cmocka_unit_test(a_process_without_a_part_is_counted_as_such),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
