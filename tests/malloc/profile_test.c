/* SPDX-License-Identifier: MIT */
/*
 * profile_test.c - the profile of the heap (quire/profile.h), linked with quire-malloc.o
 *
 * Sums are read from the file as anybody would: gzip takes it apart, which looks at its checksum, and the fields of samples are
 * added up.  With a hit in 16 KiB the error of a sum is one in the root of its hits: 300 MiB have 19,200, so 0.7 %, and 3 % are
 * four times that.
 */
#include <quire/profile.h>

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "quire_test.h"
#include "scratch.h"

#define MEAN_BYTES  ((size_t)16 << 10)
#define FILE_MOST   ((size_t)64 << 20)
#define VALUES_NR   4u
#define SHARE_LEAST 0.97

struct sums {
	uint64_t alloc_objects, alloc_bytes, used_objects, used_bytes;
	uint64_t duration_ns;
	unsigned samples, modules, locations;
};

static char path[64];

/* ---- reading ---- */

static uint64_t number(const uint8_t **at)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			break;
	}
	return value;
}

/* The next field: its number, and its value or its bytes. */
static unsigned field(const uint8_t **at, uint64_t *value, const uint8_t **bytes)
{
	uint64_t key = number(at);

	*value = number(at);
	*bytes = *at;
	if ((key & 7) == 2)
		*at += *value;
	else
		assert_u64_eq(key & 7, 0);
	return (unsigned)(key >> 3);
}

static void add_sample(struct sums *sums, const uint8_t *at, const uint8_t *end)
{
	uint64_t *sum[VALUES_NR] = { &sums->alloc_objects, &sums->alloc_bytes, &sums->used_objects,
				     &sums->used_bytes };

	while (at < end) {
		const uint8_t *bytes;
		uint64_t value;

		if (field(&at, &value, &bytes) != 2)
			continue;
		for (unsigned i = 0; i < VALUES_NR; i++)
			*sum[i] += number(&bytes);
		assert_ptr_equal(bytes, at);
	}
	sums->samples++;
}

static struct sums sums_in(const char *file)
{
	static uint8_t text[FILE_MOST];
	const uint8_t *at = text;
	struct sums sums = { 0 };
	char command[128];
	FILE *pipe;
	size_t used;

	snprintf(command, sizeof(command), "exec gzip -dc %s", file);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	used = fread(text, 1, sizeof(text), pipe);
	assert_int_equal(pclose(pipe), 0);
	while (at < text + used) {
		const uint8_t *bytes;
		uint64_t value;

		switch (field(&at, &value, &bytes)) {
		case 2:
			add_sample(&sums, bytes, at);
			break;
		case 3:
			sums.modules++;
			break;
		case 4:
			sums.locations++;
			break;
		case 10:
			sums.duration_ns = value;
			break;
		default:
			break;
		}
	}
	assert_ptr_equal(at, text + used);
	return sums;
}

static struct sums sums_now(void)
{
	assert_int_equal(quire_profile_write(path), 0);
	return sums_in(path);
}

/* What came since @before. */
static struct sums since(const struct sums *before)
{
	struct sums sums = sums_now();

	sums.alloc_objects -= before->alloc_objects;
	sums.alloc_bytes -= before->alloc_bytes;
	sums.used_objects -= before->used_objects;
	sums.used_bytes -= before->used_bytes;
	return sums;
}

static void assert_near(const char *what, uint64_t estimate, uint64_t truth)
{
	double share = (double)estimate / (double)truth;

	print_message("%s: %.4f of %" PRIu64 "\n", what, share, truth);
	if (share < SHARE_LEAST || share > 1 / SHARE_LEAST)
		fail_msg("%s is estimated as %" PRIu64 ", and is %" PRIu64, what, estimate, truth);
}

/* But for what libc gives the thread of the worker that starts meanwhile, some 300 bytes: a sample of them stands for MEAN_BYTES
 * and a little more. */
static void assert_none_in_use(const struct sums *before)
{
	assert_true(since(before).used_bytes < 3 * MEAN_BYTES);
}

/* ---- estimates ---- */

#define KEPT_NR 20000u

static void *kept[KEPT_NR];
static uint64_t asked_bytes, asked_blocks, kept_bytes, kept_blocks;

static size_t mixed_bytes(unsigned i)
{
	static const size_t bytes[] = { 0, 16, 24, 100, 1000, 3000, 5000, 20000, 33000, 100000 };

	return bytes[i % (sizeof(bytes) / sizeof(bytes[0]))] + i % 7;
}

static void *take(unsigned i, size_t bytes)
{
	void *block = NULL;

	switch (i / 10 % 4) {
	case 0:
		block = calloc(1, bytes);
		break;
	case 1:
		assert_int_equal(posix_memalign(&block, 64, bytes), 0);
		break;
	default:
		block = malloc(bytes);
		break;
	}
	assert_non_null(block);
	asked_bytes += bytes;
	asked_blocks++;
	return block;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Not of the process: the heap is older by 20 ms. */
static void the_file_has_the_time_of_the_first_start(void **state)
{
	uint64_t before_ns, passed_ns;

	(void)state;
	usleep(20000);
	before_ns = now_ns();
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	free(malloc(1000000));
	assert_int_equal(quire_profile_write(path), 0);
	passed_ns = now_ns() - before_ns;
	assert_in_range(sums_in(path).duration_ns, 1, passed_ns);
	assert_int_equal(quire_profile_stop(), 0);
}

/* Small and large, aligned and zeroed, kept and freed at once; sums over all, and over what is kept. */
static void a_mix_of_sizes_is_estimated_without_bias(void **state)
{
	struct sums before = { 0 }, sums;

	(void)state;
	asked_bytes = asked_blocks = kept_bytes = kept_blocks = 0;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	before = sums_now();
	for (unsigned i = 0; i < KEPT_NR; i++) {
		for (unsigned n = 0; n < 4; n++)
			free(take(i + n, mixed_bytes(i + n)));
		kept[i] = take(i, mixed_bytes(i));
		kept_bytes += mixed_bytes(i);
		kept_blocks++;
	}
	assert_int_equal(quire_profile_stop(), 0);
	sums = since(&before);
	assert_near("bytes allocated", sums.alloc_bytes, asked_bytes);
	assert_near("bytes in use", sums.used_bytes, kept_bytes);
	for (unsigned i = 0; i < KEPT_NR; i++)
		free(kept[i]);
	assert_none_in_use(&before);
	sums = since(&before);
	assert_true(sums.modules >= 2 && sums.locations >= 2);
}

/* Numbers of blocks of one size: of the smallest few are hit, and each stands for many. */
static void blocks_are_counted_too(void **state)
{
	struct sums before = { 0 }, sums;

	(void)state;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	before = sums_now();
	for (unsigned i = 0; i < 6000000; i++)
		free(malloc(48));
	assert_int_equal(quire_profile_stop(), 0);
	sums = since(&before);
	assert_near("blocks of 48 bytes", sums.alloc_objects, 6000000);
	assert_none_in_use(&before);
}

/* Each step that moves or grows a block is a free and an allocation of its new size. */
static void what_realloc_grows_is_estimated(void **state)
{
	struct sums before = { 0 }, sums;
	uint64_t bytes_before = 0;

	(void)state;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	before = sums_now();
	kept_bytes = 0;
	for (unsigned i = 0; i < 3000; i++) {
		char *block = malloc(10);

		for (size_t bytes = 20; bytes <= 10240u << i % 6; bytes *= 2) {
			memset(block, (int)i, bytes / 2);
			block = realloc(block, bytes);
			assert_non_null(block);
			assert_int_equal((unsigned char)block[bytes / 2 - 1], i & 255);
			bytes_before = bytes;
		}
		kept[i] = block;
		kept_bytes += bytes_before;
	}
	assert_int_equal(quire_profile_stop(), 0);
	sums = since(&before);
	assert_near("bytes in use after realloc()", sums.used_bytes, kept_bytes);
	for (unsigned i = 0; i < 3000; i++) {
		kept[i] = realloc(kept[i], 100); /* hit or not, it is seen */
		free(kept[i]);
	}
	assert_none_in_use(&before);
}

static void nothing_is_sampled_while_it_is_off(void **state)
{
	struct sums before = sums_now();

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		free(malloc(100000));
	assert_u64_eq(since(&before).alloc_bytes, 0);
}

/* ---- threads, handlers, children ---- */

#define ROUNDS 10000u

static void *takes_and_ends(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		free(malloc(100 + i));
	return arg;
}

static void what_threads_did_that_ended_is_there(void **state)
{
	struct sums before = { 0 }, sums;

	(void)state;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	before = sums_now();
	for (unsigned i = 0; i < 5; i++) {
		pthread_t thread[2];

		for (unsigned n = 0; n < 2; n++)
			assert_int_equal(pthread_create(&thread[n], NULL, takes_and_ends, NULL), 0);
		for (unsigned n = 0; n < 2; n++)
			assert_int_equal(pthread_join(thread[n], NULL), 0);
	}
	assert_int_equal(quire_profile_stop(), 0);
	sums = since(&before);
	assert_near("bytes of threads", sums.alloc_bytes,
		    (uint64_t)10 * ROUNDS * (100 + (ROUNDS - 1) / 2));
	assert_true(sums.used_bytes < 1 << 20); /* what libc keeps for threads */
}

static volatile sig_atomic_t handled;

/* NOLINTBEGIN(bugprone-signal-handler) */
static void takes_in_a_handler(int number)
{
	void *block = malloc(50000), *small = malloc(500);

	(void)number;
	free(block);
	free(small);
	handled++;
}
/* NOLINTEND(bugprone-signal-handler) */

/* A handler interrupts allocations, samples and writes at any step, and is sampled itself. */
static void handlers_are_sampled_too(void **state)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sums before = { 0 };

	(void)state;
	signal(SIGALRM, takes_in_a_handler);
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	before = sums_now();
	handled = 0;
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (handled < 300) {
		free(malloc(3000));
		free(malloc(70000));
		(void)quire_profile_write(path);
	}
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(quire_profile_stop(), 0);
	assert_none_in_use(&before);
}

/* A child has what its parent had, and its own from then on; besides, its worker's thread may be sampled. */
static void a_child_has_a_profile_of_its_own(void **state)
{
	struct sums before = { 0 }, sums;
	void *block = NULL;
	int status = -1;
	pid_t child;

	(void)state;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	before = sums_now();
	block = malloc(1000000);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		free(block);
		sums = since(&before);
		if (sums.used_bytes >= 100000)
			_exit(1);
		block = malloc(2000000);
		sums = since(&before);
		_exit(sums.used_bytes >= 2000000 && sums.used_bytes < 2100000 ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	sums = since(&before);
	assert_true(sums.used_bytes >= 1000000 && sums.used_bytes < 1900000);
	free(block);
	assert_int_equal(quire_profile_stop(), 0);
}

static volatile bool ends;

static void *writes(void *arg)
{
	while (!ends)
		(void)quire_profile_write(path);
	return arg;
}

/* A child writes whatever its parent's other threads were at. */
static void a_child_writes_though_a_thread_of_its_parent_was_writing(void **state)
{
	unsigned refused_nr = 0;
	pthread_t thread;

	(void)state;
	ends = false;
	assert_int_equal(pthread_create(&thread, NULL, writes, NULL), 0);
	for (unsigned i = 0; i < 50; i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0)
			_exit(-quire_profile_write(path));
		refused_nr += waitpid(child, &status, 0) != child || status != 0;
	}
	ends = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(refused_nr, 0);
}

static void *allocates(void *arg)
{
	while (!ends) {
		free(malloc(2000));
		free(realloc(malloc(40000), 80000));
	}
	return arg;
}

/* Whoever turns it on or off is told if another one does. */
static void it_is_turned_on_and_off_while_threads_allocate(void **state)
{
	struct sums before = sums_now();
	pthread_t thread;

	(void)state;
	ends = false;
	assert_int_equal(pthread_create(&thread, NULL, allocates, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
		free(malloc(100000));
		assert_int_equal(quire_profile_stop(), 0);
		free(malloc(100000));
	}
	ends = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(since(&before).alloc_bytes > 0);
	assert_true(since(&before).used_bytes < 1 << 20);
}

/* ---- blocks ---- */

/* Of 64 MiB of one size some are hit; none is smaller or less aligned than others, and each survives what it is used for. */
static void a_sampled_block_is_as_any_other(void **state)
{
	(void)state;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	for (unsigned i = 0; i < 60000; i++) {
		size_t bytes = 1 + i % 1100;
		char *block = malloc(bytes), *more;
		size_t usable = malloc_usable_size(block);

		assert_true(usable >= bytes && usable <= 2 * bytes + 16);
		assert_u64_eq((uintptr_t)block % 16, 0);
		memset(block, (int)i, usable);
		assert_ptr_equal(realloc(block, usable), block);
		more = realloc(block, usable + 1);
		for (size_t at = 0; at < usable; at++)
			assert_int_equal((unsigned char)more[at], i & 255);
		free(more);
	}
	assert_int_equal(quire_profile_stop(), 0);
}

/* ---- the file ---- */

static void a_file_that_cannot_be_written_is_refused(void **state)
{
	(void)state;
	assert_int_equal(quire_profile_write("/nowhere/at/all"), -ENOENT);
	assert_int_equal(quire_profile_write(scratch), -EISDIR);
}

/* Killed at any moment a writer leaves the file as it was before, or whole. */
static void a_writer_that_is_killed_leaves_no_half_file(void **state)
{
	unsigned whole = 0;

	(void)state;
	assert_int_equal(quire_profile_start(MEAN_BYTES), 0);
	for (unsigned turn = 0; turn < 40; turn++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			for (;;)
				(void)quire_profile_write(path);
		usleep(1000 * (turn % 20));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		if (access(path, F_OK) == 0) {
			assert_true(sums_in(path).samples > 0);
			whole++;
		}
		unlink(path);
	}
	assert_true(whole > 0);
	assert_int_equal(quire_profile_stop(), 0);
}

static int make_folder(void **state)
{
	if (scratch_make(state) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/profile.pb.gz", scratch);
	return quire_profile_write(path) == -ENODATA ? 0 : -1; /* it was never on */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_has_the_time_of_the_first_start),
		cmocka_unit_test(a_mix_of_sizes_is_estimated_without_bias),
		cmocka_unit_test(blocks_are_counted_too),
		cmocka_unit_test(what_realloc_grows_is_estimated),
		cmocka_unit_test(nothing_is_sampled_while_it_is_off),
		cmocka_unit_test(what_threads_did_that_ended_is_there),
		cmocka_unit_test(handlers_are_sampled_too),
		cmocka_unit_test(a_child_has_a_profile_of_its_own),
		cmocka_unit_test(a_child_writes_though_a_thread_of_its_parent_was_writing),
		cmocka_unit_test(it_is_turned_on_and_off_while_threads_allocate),
		cmocka_unit_test(a_sampled_block_is_as_any_other),
		cmocka_unit_test(a_file_that_cannot_be_written_is_refused),
		cmocka_unit_test(a_writer_that_is_killed_leaves_no_half_file),
	};

	return cmocka_run_group_tests(tests, make_folder, scratch_remove);
}
