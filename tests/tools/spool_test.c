/* SPDX-License-Identifier: MIT */
/* spool_test.c - the spool of `quire record`: what is read of it, whole, cut off and damaged */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/observed.h"
#include "record/drain.h"
#include "record/record.h"
#include "record/spool_reader.h"

#define BUFFER_BYTES	 (4 * RECORDING_SEGMENT_NR * sizeof(struct ring_event))
#define BIG_BUFFER_BYTES (64 * RECORDING_SEGMENT_NR * sizeof(struct ring_event))

static char path[64];
static struct drain drain;

static uint64_t own_who(void)
{
	return owner_word((uint32_t)getpid(), observed_start_ticks(0));
}

/* A spool with the part of one process. */
static int make(bool children, size_t buffer_bytes)
{
	static char *program[] = { "a", "program", NULL };
	const struct drain_request request = {
		.path = path, .buffer_bytes = buffer_bytes, .children = children, .program = program
	};

	snprintf(path, sizeof(path), "/tmp/spool_test.%d", getpid());
	if (drain_init(&drain, &request) != 0)
		return -1;
	drain.header->begin_ticks = 0; /* times are as they are put */
	drain.header->owner[0] = (struct recording_owner){ .who = own_who(), .process = 1 };
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return make(false, BUFFER_BYTES);
}

static int begin_with_big_rings(void **state)
{
	(void)state;
	return make(false, BIG_BUFFER_BYTES);
}

static int begin_with_children(void **state)
{
	(void)state;
	return make(true, BUFFER_BYTES);
}

static int end(void **state)
{
	(void)state;
	if (drain.header != NULL)
		drain_fini(&drain);
	unlink(path);
	return 0;
}

static char *part(void)
{
	return (char *)drain.header + recording_part_offset(drain.header, 0);
}

static struct ring *ring_of(unsigned cpu)
{
	return (struct ring *)(void *)part() + cpu;
}

static bool put_at(unsigned cpu, uint64_t time_ns, uint64_t address)
{
	const struct ring_event event = { .time_ns = time_ns, .address = address };

	return ring_put(ring_of(cpu), recording_slots(part(), drain.header->slots_nr, cpu), &event,
			RING_FREE, cpu);
}

static bool put(unsigned cpu, uint64_t time_ns)
{
	return put_at(cpu, time_ns, 16 * time_ns);
}

static unsigned cpus_nr(void)
{
	return drain.header->rings_nr;
}

/* Events of times 1 to @nr, on each CPU in turn. */
static void put_many(uint64_t nr)
{
	for (uint64_t time_ns = 1; time_ns <= nr; time_ns++)
		assert_true(put((unsigned)time_ns % cpus_nr(), time_ns));
}

/* Reads all, which must be in order, and returns how many there were. */
static uint64_t read_all(struct spool_reader *reader)
{
	struct spool_event event;
	uint64_t nr = 0, last_ns = 0;
	int more;

	assert_int_equal(spool_reader_open(reader, path), 0);
	while ((more = spool_reader_next(reader, &event)) > 0) {
		assert_true(event.event.time_ns >= last_ns);
		assert_int_equal(event.event.address, 16 * event.event.time_ns);
		assert_int_equal(event.process, 1);
		last_ns = event.event.time_ns;
		nr++;
	}
	assert_int_equal(more, 0);
	assert_int_equal(nr, reader->events_nr);
	return nr;
}

static void expect(uint64_t events_nr, uint64_t holes_nr, uint64_t damaged_nr)
{
	struct spool_reader reader;

	assert_int_equal(read_all(&reader), events_nr);
	assert_int_equal(reader.holes_nr, holes_nr);
	assert_int_equal(reader.damaged_nr, damaged_nr);
	spool_reader_close(&reader);
}

static void change_byte(uint64_t at)
{
	char byte;

	assert_int_equal(pread(drain.fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(drain.fd, &byte, 1, (off_t)at), 1);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void what_is_in_rings_is_read_as_what_was_moved(void **state)
{
	const uint64_t nr = cpus_nr() * RECORDING_SEGMENT_NR + 77;

	(void)state;
	put_many(nr);
	expect(nr, 0, 0);
	assert_int_equal(drain_end(&drain), 0);
	assert_int_equal(ring_filled(ring_of(0)), 0);
	expect(nr, 0, 0);
}

/* As a thread does that is interrupted between the clock and its slot. */
static void late_events_are_put_in_order(void **state)
{
	(void)state;
	for (uint64_t time_ns = 10; time_ns < 3000; time_ns++)
		assert_true(put(0, time_ns));
	assert_true(put(0, 5));
	for (uint64_t time_ns = 1; time_ns < 5; time_ns++)
		assert_true(put(cpus_nr() - 1, time_ns));
	expect(2990 + 1 + 4, 0, 0);
	assert_int_equal(drain_end(&drain), 0);
	expect(2990 + 1 + 4, 0, 0);
}

/* As they are where a spool is damaged: insertion would take some five seconds. */
static void events_in_reverse_order_are_sorted_within_a_second(void **state)
{
	const uint64_t nr = drain.header->slots_nr;
	clock_t before;

	(void)state;
	for (uint64_t time_ns = nr; time_ns != 0; time_ns--)
		assert_true(put(0, time_ns));
	before = clock();
	expect(nr, 0, 0);
	assert_true(clock() - before < CLOCKS_PER_SEC);
}

/* Their addresses tell them apart. */
static void events_of_one_time_stay_in_the_order_of_their_slots(void **state)
{
	struct spool_reader reader;
	struct spool_event event;
	const uint64_t nr = 1000;

	(void)state;
	assert_true(put(0, 2));
	for (uint64_t address = 0; address < nr; address++)
		assert_true(put_at(0, 1, address));
	assert_int_equal(spool_reader_open(&reader, path), 0);
	for (uint64_t address = 0; address < nr; address++) {
		assert_int_equal(spool_reader_next(&reader, &event), 1);
		assert_int_equal(event.event.address, address);
	}
	spool_reader_close(&reader);
}

static void holes_are_counted(void **state)
{
	(void)state;
	put_many(100);
	ring_of(0)->reserved++;
	assert_true(put(0, 101));
	expect(101, 1, 0);
	assert_int_equal(drain_end(&drain), 0);
	expect(101, 1, 0);
}

static void a_damaged_segment_is_left_out_and_the_next_is_found(void **state)
{
	const uint64_t begin_at = recording_part_offset(drain.header, 1);
	const uint64_t nr = RECORDING_SEGMENT_NR;
	struct spool_reader reader;

	(void)state;
	for (uint64_t time_ns = 1; time_ns <= 2 * nr; time_ns++)
		assert_true(put(0, time_ns));
	assert_int_equal(drain_end(&drain), 0);
	for (unsigned byte = 0; byte < sizeof(struct recording_segment) + 200; byte += 3) {
		change_byte(begin_at + byte);
		read_all(&reader);
		assert_int_equal(reader.events_nr, nr);
		assert_int_equal(reader.damaged_nr, 1);
		assert_int_equal(reader.damaged_at, begin_at);
		spool_reader_close(&reader);
		change_byte(begin_at + byte);
	}
	expect(2 * nr, 0, 0);
}

static void a_torn_segment_is_left_out(void **state)
{
	const uint64_t nr = RECORDING_SEGMENT_NR;
	struct spool_reader reader;
	uint64_t torn_at;

	(void)state;
	for (uint64_t time_ns = 1; time_ns <= 2 * nr; time_ns++)
		assert_true(put(0, time_ns));
	assert_int_equal(drain_end(&drain), 0);
	torn_at = recording_part_offset(drain.header, 1) + sizeof(struct recording_segment) +
		  nr * sizeof(struct ring_event);
	for (uint64_t cut = 1; cut < 300; cut += 40) {
		assert_int_equal(ftruncate(drain.fd, (off_t)(drain.end - cut)), 0);
		read_all(&reader);
		assert_int_equal(reader.events_nr, nr);
		assert_int_equal(reader.torn_at, torn_at);
		spool_reader_close(&reader);
	}
}

/* The command was killed after it wrote a segment, and before it gave the slots back. */
static void what_is_in_a_segment_and_in_its_ring_is_read_once(void **state)
{
	(void)state;
	for (uint64_t time_ns = 1; time_ns <= 300; time_ns++)
		assert_true(put(0, time_ns));
	assert_int_equal(drain_end(&drain), 0);
	assert_true(put(0, 301));
	ring_of(0)->taken -= 300;
	expect(301, 0, 0);
}

static void loss_is_told_by_cpu_and_time(void **state)
{
	const unsigned cpu = cpus_nr() - 1;
	uint64_t time_ns = 1;
	struct spool_reader reader;

	(void)state;
	while (put(cpu, time_ns))
		time_ns++;
	assert_false(put(cpu, time_ns + 50));
	for (unsigned turn = 0; turn < 2; turn++) { /* of the ring, then of the segments */
		read_all(&reader);
		assert_int_equal(reader.events_nr, drain.header->slots_nr);
		assert_int_equal(reader.loss[cpu].nr, 2);
		assert_int_equal(reader.loss[cpu].first_ns, time_ns);
		assert_int_equal(reader.loss[cpu].last_ns, time_ns + 50);
		spool_reader_close(&reader);
		assert_int_equal(drain_end(&drain), 0);
	}
}

/* Two ns a tick. */
static void ticks_are_told_in_ns(void **state)
{
	struct spool_reader reader;
	struct spool_event event;

	(void)state;
	drain.header->begin_ticks = 1000;
	drain.header->begin_ns = 50000;
	drain.header->last_ticks = 2000;
	drain.header->last_ns = 52000;
	assert_true(put(0, 1500));
	assert_true(put(0, 3000));
	assert_int_equal(spool_reader_open(&reader, path), 0);
	assert_int_equal(spool_reader_next(&reader, &event), 1);
	assert_int_equal(event.event.time_ns, 51000);
	assert_int_equal(spool_reader_next(&reader, &event), 1);
	assert_int_equal(event.event.time_ns, 54000);
	assert_int_equal(spool_reader_next(&reader, &event), 0);
	spool_reader_close(&reader);
}

/* As on a disk that is full. */
static void a_write_that_fails_leaves_all_in_the_rings(void **state)
{
	struct spool_reader reader;
	const int fd = drain.fd;
	uint64_t time_ns = 1;

	(void)state;
	while (put(0, time_ns))
		time_ns++;
	drain.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(drain_end(&drain), -EBADF);
	close(drain.fd);
	drain.fd = fd;
	read_all(&reader);
	assert_int_equal(reader.events_nr, drain.header->slots_nr);
	assert_int_equal(reader.loss[0].nr, 1);
	assert_int_equal(reader.loss[0].first_ns, time_ns);
	spool_reader_close(&reader);
	assert_int_equal(drain_end(&drain), 0);
	expect(drain.header->slots_nr, 0, 0);
}

/* The next ring's few events fit where the first one's did not. */
static void a_write_that_fails_is_not_forgotten_for_one_that_fits(void **state)
{
	struct rlimit old, limit;

	(void)state;
	if (cpus_nr() == 1)
		skip_because("one CPU has one ring");
	for (uint64_t time_ns = 1; time_ns <= RECORDING_SEGMENT_NR; time_ns++)
		assert_true(put(0, time_ns));
	assert_true(put(1, 1));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = drain.end + 2 * sizeof(struct recording_segment);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(drain_end(&drain), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(drain_end(&drain), 0);
	expect(RECORDING_SEGMENT_NR + 1, 0, 0);
}

/* Those of the ring that is used; the page cache may have others, too. */
static void pages_are_made_before_the_program_comes_to_them(void **state)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ring_slots slots = recording_slots(part(), drain.header->slots_nr, 0);
	unsigned char is_there = 0;

	(void)state;
	if (madvise(drain.header, page, MADV_POPULATE_WRITE) != 0)
		skip_because("this system makes no pages in advance");
	assert_true(put(0, 1));
	assert_int_equal(drain_begin(&drain), 0);
	for (unsigned i = 0; i < 5000 && load_relaxed(&drain.touched_nr[0]) != slots.nr; i++)
		nanosleep(&nap, NULL);
	assert_int_equal(drain_end(&drain), 0);
	assert_int_equal(drain.touched_nr[0], slots.nr);
	assert_int_equal(mincore((char *)(slots.event + slots.nr) - page, page, &is_there), 0);
	assert_int_equal(is_there & 1, 1);
	for (unsigned cpu = 1; cpu < cpus_nr(); cpu++)
		assert_int_equal(drain.touched_nr[cpu], 0);
	expect(1, 0, 0);
}

static void other_files_are_refused_with_the_place(void **state)
{
	struct spool_reader reader;

	(void)state;
	drain.header->version = 9;
	assert_int_equal(spool_reader_open(&reader, path), -1);
	assert_string_equal(reader.error, "at byte 8: version 9; this program knows version 4");
	spool_reader_close(&reader);
	drain.header->version = RECORDING_VERSION;
	drain.header->slots_nr = 3;
	assert_int_equal(spool_reader_open(&reader, path), -1);
	assert_string_equal(reader.error, "at byte 12: the header is damaged");
	spool_reader_close(&reader);
	drain.header->magic = 0;
	assert_int_equal(spool_reader_open(&reader, path), -1);
	assert_non_null(strstr(reader.error, "no spool"));
	spool_reader_close(&reader);
	assert_int_equal(spool_reader_open(&reader, "/dev/null"), -1);
	assert_non_null(strstr(reader.error, "no spool"));
	spool_reader_close(&reader);
	assert_int_equal(spool_reader_open(&reader, "/nowhere/spool"), -1);
	assert_non_null(strstr(reader.error, "No such file"));
	spool_reader_close(&reader);
}

/* It is what a user is told to give. */
static void a_roomier_buffer_is_never_one_that_is_refused(void **state)
{
	(void)state;
	assert_int_equal(record_roomier_mib(4096), 64);
	assert_int_equal(record_roomier_mib(UINT64_C(64) << 20), 256);
	assert_int_equal(record_roomier_mib(UINT64_C(1) << 30), 2048);
	assert_int_equal(record_roomier_mib(UINT64_C(2) << 30), 0);
}

static void a_spool_is_not_made_over_another(void **state)
{
	static char *program[] = { "p", NULL };
	const struct drain_request request = { .path = path, .program = program };
	struct drain other;

	(void)state;
	assert_int_equal(drain_init(&other, &request), -EEXIST);
}

/* Its first owner has ended, or there would not be the second. */
static void a_pid_that_is_used_again_is_another_process(void **state)
{
	uint64_t other = owner_word((uint32_t)getpid(), observed_start_ticks(0) - 1);

	(void)state;
	assert_true(owner_start_ticks(other) != 0);
	drain.header->owner[1] = (struct recording_owner){ .who = other, .process = 2 };
	drain.header->owner[2] =
		(struct recording_owner){ .who = owner_word((uint32_t)getpid(), 0), .process = 3 };
	assert_int_equal(drain_end(&drain), 0);
	assert_true(drain.header->owner[0].who == own_who());
	assert_true(drain.header->owner[1].who == 0);
	assert_true(drain.header->owner[2].who != 0); /* its beginning is not known */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_in_rings_is_read_as_what_was_moved, begin,
						end),
		cmocka_unit_test_setup_teardown(late_events_are_put_in_order, begin, end),
		cmocka_unit_test_setup_teardown(events_in_reverse_order_are_sorted_within_a_second,
						begin_with_big_rings, end),
		cmocka_unit_test_setup_teardown(events_of_one_time_stay_in_the_order_of_their_slots,
						begin, end),
		cmocka_unit_test_setup_teardown(holes_are_counted, begin, end),
		cmocka_unit_test_setup_teardown(a_damaged_segment_is_left_out_and_the_next_is_found,
						begin, end),
		cmocka_unit_test_setup_teardown(a_torn_segment_is_left_out, begin, end),
		cmocka_unit_test_setup_teardown(what_is_in_a_segment_and_in_its_ring_is_read_once,
						begin, end),
		cmocka_unit_test_setup_teardown(loss_is_told_by_cpu_and_time, begin, end),
		cmocka_unit_test_setup_teardown(ticks_are_told_in_ns, begin, end),
		cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_all_in_the_rings, begin,
						end),
		cmocka_unit_test_setup_teardown(
			a_write_that_fails_is_not_forgotten_for_one_that_fits, begin, end),
		cmocka_unit_test_setup_teardown(pages_are_made_before_the_program_comes_to_them,
						begin, end),
		cmocka_unit_test_setup_teardown(other_files_are_refused_with_the_place, begin, end),
		cmocka_unit_test_setup_teardown(a_pid_that_is_used_again_is_another_process,
						begin_with_children, end),
		cmocka_unit_test(a_roomier_buffer_is_never_one_that_is_refused),
		cmocka_unit_test_setup_teardown(a_spool_is_not_made_over_another, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
