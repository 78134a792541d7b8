/* SPDX-License-Identifier: MIT */
/*
 * What the process has to give for the first page, area and per-CPU object: locked memory, data under
 * RLIMIT_DATA or strict overcommit, and room in core files.  Each is bounded by what is used, not by what
 * is reserved.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/percpu.h>
#include <quire/vmap.h>

#include "base/errno.h"
#include "base/mem.h"
#include "confine.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "mapped.h"
#include "page/pages.h"
#include "quire_test.h"
#include "vmap/vmap.h"

/*
 * A page takes one section of 2 MiB if memory was locked when the instance was made, four if not; an area
 * one or two, an object a chunk for each CPU (256 KiB), and each what describes it.  The CPUs' stacks are
 * 128 KiB each, in each of the three.
 */
#define STEP_BYTES	 KIB(512)
#define LOCKED_BYTES_MAX (MIB(2) + STEP_BYTES)
#define DATA_BYTES_MAX	 (MIB(4) + STEP_BYTES)
#define PAGE_BYTES_MAX	 (MIB(8) + STEP_BYTES)
#define BYTES_A_CPU	 KIB(512)

/* What a child exits with. */
enum finding {
	REFUSED = 10,
	NOT_REFUSED,
	TOO_MUCH_FOR_A_PAGE,
	TOO_MUCH_FOR_AN_AREA,
	TOO_MUCH_FOR_AN_OBJECT,
	NOT_LOCKED,
	NOT_VERIFIED,
	KEPT,
	SET_UP,
};

static uint64_t allowed(uint64_t bytes)
{
	return bytes + process_cpus_possible() * BYTES_A_CPU;
}

/* Takes the first of each kind and looks at @figure of /proc/self/status after each. */
static void take_firsts(struct quire *q, const char *figure, uint64_t page_bytes,
			uint64_t most_bytes)
{
	uint64_t bytes[4];
	char *page, *area;
	void *object;

	bytes[0] = status_bytes(figure);
	page = quire_alloc_pages(q, 0, 0);
	bytes[1] = status_bytes(figure);
	area = quire_vmalloc(q, 4096, 0);
	bytes[2] = status_bytes(figure);
	object = quire_alloc_percpu(q, 64, 0, 0);
	bytes[3] = status_bytes(figure);
	if (page == NULL || area == NULL || object == NULL)
		_exit(REFUSED);
	for (unsigned i = 1; i < 4; i++)
		fprintf(stderr, "%s %llu KiB\n", figure,
			(unsigned long long)((bytes[i] - bytes[i - 1]) / KIB(1)));
	if (bytes[1] - bytes[0] > allowed(page_bytes))
		_exit(TOO_MUCH_FOR_A_PAGE);
	if (bytes[2] - bytes[1] > allowed(most_bytes))
		_exit(TOO_MUCH_FOR_AN_AREA);
	if (bytes[3] - bytes[2] > allowed(most_bytes))
		_exit(TOO_MUCH_FOR_AN_OBJECT);
	page[0] = area[0] = 1;
	if (quire_verify(q) != 0)
		_exit(NOT_VERIFIED);
}

/* A limit of many GiB: what depends on it must not be taken at once. */
static struct quire *large_instance(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(24576), .worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	if (quire_create(&options, &q) != 0)
		_exit(REFUSED);
	return q;
}

/* ---- locked memory ---- */

static void lock_before(void *arg)
{
	struct quire *q;
	uint64_t before;

	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		_exit(SET_UP);
	before = status_bytes("VmLck");
	q = large_instance();
	if (status_bytes("VmLck") - before > allowed(0))
		_exit(TOO_MUCH_FOR_A_PAGE);
	take_firsts(q, "VmLck", LOCKED_BYTES_MAX, LOCKED_BYTES_MAX);
}

/* What existed before is locked as a whole, which costs memory only where there is some. */
static void lock_after(void *arg)
{
	struct quire *q = large_instance();

	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		_exit(SET_UP);
	take_firsts(q, "RssAnon", PAGE_BYTES_MAX, LOCKED_BYTES_MAX);
}

static void locked_memory_is_what_is_used(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(lock_before, NULL);
	expect_life(lock_after, NULL);
}

static void lock_and_look(void *arg)
{
	struct quire *q;
	char *pages[2];

	(void)arg;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		_exit(SET_UP);
	q = large_instance();
	pages[0] = quire_alloc_pages(q, 0, 0);
	pages[1] = quire_vmalloc(q, 4096, 0);
	for (unsigned i = 0; i < 2; i++) {
		unsigned char present = 0;

		/* Nobody has touched it, and yet it is there. */
		if (pages[i] == NULL)
			_exit(REFUSED);
		if (mincore(pages[i], 4096, &present) != 0 || (present & 1) == 0)
			_exit(NOT_LOCKED);
	}
}

static void memory_of_a_locked_process_is_locked(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(lock_and_look, NULL);
}

/* An ordinary user may lock little: the reservations are none of it, and what is too much is refused. */
static void lock_little(void *arg)
{
	struct quire *q = NULL;
	unsigned taken = 0;

	(void)arg;
	confine_limit(RLIMIT_MEMLOCK, MIB(32));
	if (setuid(65534) != 0 || mlockall(MCL_FUTURE) != 0)
		_exit(SET_UP);
	q = large_instance();
	if (quire_alloc_pages(q, 0, 0) == NULL || quire_vmalloc(q, 4096, 0) == NULL)
		_exit(REFUSED);
	while (taken < 100 && quire_alloc_pages(q, 9, 0) != NULL)
		taken++;
	if (taken == 0)
		_exit(REFUSED);
	if (taken == 100)
		_exit(NOT_REFUSED);
	if (quire_verify(q) != 0)
		_exit(NOT_VERIFIED);
}

static void under_a_limit_of_locked_memory_what_is_too_much_is_refused(void **state)
{
	(void)state;
	skip_if_sanitized();
	if (geteuid() != 0)
		skip_because("needs to become an ordinary user");
	expect_life(lock_little, NULL);
}

/* ---- data ---- */

static void count_data(void *arg)
{
	(void)arg;
	take_firsts(large_instance(), "VmData", PAGE_BYTES_MAX, DATA_BYTES_MAX);
}

static void data_is_what_is_used(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(count_data, NULL);
}

static void limit_data(void *arg)
{
	const uint64_t *more_bytes = arg;
	struct quire *q = NULL;
	unsigned taken = 0;

	confine_limit(RLIMIT_DATA, status_bytes("VmData") + *more_bytes);
	if (quire_create(NULL, &q) != 0) {
		if (*more_bytes >= MIB(16))
			_exit(REFUSED);
		return;
	}
	while (taken < 1000 && quire_alloc_pages(q, 9, 0) != NULL)
		taken++;
	if (taken == 1000)
		_exit(NOT_REFUSED);
	if (*more_bytes >= MIB(16) && taken < 2)
		_exit(REFUSED);
	errno = 0;
	if (quire_vmalloc(q, MIB(8), 0) == NULL && errno != ENOMEM)
		_exit(REFUSED);
	if (quire_alloc_percpu(q, 64, 0, 0) == NULL && errno != ENOMEM)
		_exit(REFUSED);
	if (quire_verify(q) != 0)
		_exit(NOT_VERIFIED);
}

static void under_a_limit_of_data_what_is_too_much_is_refused(void **state)
{
	(void)state;
	skip_if_sanitized();
	for (uint64_t more = KIB(64); more <= MIB(128); more *= 2)
		expect_life(limit_data, &more);
}

/* ---- core files ---- */

/* Is the mapping of @addr left out of core files? */
static bool is_left_out(const void *addr)
{
	return mapping_has_flag(addr, "dd");
}

static void core_files_have_what_is_used_and_no_reservation(void **state)
{
	const struct quire_options backings[] = {
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(4096), .worker = QUIRE_WORKER_OFF),
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(4096), .worker = QUIRE_WORKER_OFF,
				   .backing = QUIRE_BACKING_MEMFD),
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct quire *q;
		char *page, *area;

		assert_int_equal(quire_create(&backings[i], &q), 0);
		page = quire_alloc_pages(q, 0, 0);
		area = quire_vmalloc(q, 4096, 0);
		assert_non_null(page);
		assert_non_null(area);
		assert_false(is_left_out(page));
		assert_false(is_left_out(area));
		assert_true(is_left_out(pages_of(q)->base + pages_of(q)->span_bytes - 4096));
		assert_true(is_left_out(q->vmap->base + q->vmap->span_bytes - 4096));
		assert_true(is_left_out(pages_of(q)->meta + pages_of(q)->meta_bytes - 4096));
		/* What nobody wrote is readable, zero, and in no core file. */
		assert_true(is_left_out(&q->vmap->map[q->vmap->span_pages / 8]));
		quire_destroy(q);
	}
}

/* Bytes that a core file would hold at most: what is mapped and not left out. */
static uint64_t dumped_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	static char line[1024];
	unsigned long start, end, mapped = 0;
	uint64_t bytes = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			mapped = end - start;
		else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") == NULL)
			bytes += mapped;
	}
	if (file != NULL)
		fclose(file);
	return bytes;
}

static void a_core_file_grows_by_what_is_used(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(24576), .worker = QUIRE_WORKER_OFF);
	uint64_t before = dumped_bytes();
	struct quire *q;

	(void)state;
	skip_if_sanitized();
	assert_int_equal(quire_create(&options, &q), 0);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	assert_non_null(quire_vmalloc(q, 4096, 0));
	assert_non_null(quire_alloc_percpu(q, 64, 0, 0));
	assert_true(dumped_bytes() - before <= allowed(3 * DATA_BYTES_MAX));
	quire_destroy(q);
}

/* A page, an area and an object, each with a line of its own, and then nothing until it is killed.  gdb
 * reads a MiB at a time and gives up a mapping at the first page that it may not read, a guard. */
static void be_dumped(int ready)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(24576), .worker = QUIRE_WORKER_OFF,
				   .guard = QUIRE_GUARD_OFF);
	char *page, *area, *object;
	struct quire *q = NULL;

	if (quire_create(&options, &q) != 0)
		_exit(REFUSED);
	page = quire_alloc_pages(q, 0, 0);
	area = quire_vmalloc(q, 4096, 0);
	object = quire_alloc_percpu(q, 64, 0, 0);
	if (page == NULL || area == NULL || object == NULL)
		_exit(REFUSED);
	/* Not as they are searched for: the program's own constants are in the file too. */
	snprintf(page, 64, "quire core %s", "page");
	snprintf(area, 64, "quire core %s", "area");
	snprintf(object, 64, "quire core %s", "object");
	if (write(ready, "1", 1) != 1)
		_exit(SET_UP);
	for (;;)
		pause();
}

static void check_core(const char *path, off_t most_bytes)
{
	static const char *const words[] = { "page", "area", "object" };
	int file = open(path, O_RDONLY);
	struct stat about;
	char *core;

	assert_true(file >= 0);
	assert_int_equal(fstat(file, &about), 0);
	print_message("a core file of %lld KiB\n", (long long)about.st_size / 1024);
	assert_true(about.st_size <= most_bytes);
	core = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	assert_true(core != MAP_FAILED);
	for (unsigned i = 0; i < 3; i++) {
		char line[64];
		int bytes = snprintf(line, sizeof(line), "quire core %s", words[i]);

		assert_non_null(memmem(core, (size_t)about.st_size, line, (size_t)bytes));
	}
	munmap(core, (size_t)about.st_size);
}

static void gcore_writes_what_is_used_and_little_else(void **state)
{
	char command[256], path[64], one;
	int ends[2], status;
	pid_t child;

	(void)state;
	skip_if_sanitized();
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0)
		be_dumped(ends[1]);
	assert_true(child > 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &one, 1), 1);
	snprintf(command, sizeof(command),
		 "timeout 60 gcore -o /tmp/quire-core %d >/dev/null 2>&1 </dev/null", (int)child);
	snprintf(path, sizeof(path), "/tmp/quire-core.%d", (int)child);
	status = system(command);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
	if (status != 0 || access(path, R_OK) != 0)
		skip_because("no gcore here, or it may not attach");
	check_core(path, (off_t)(allowed(3 * DATA_BYTES_MAX) + MIB(16)));
	unlink(path);
}

/* ---- descriptors, handlers ---- */

static bool handles_no_signal(void)
{
	struct sigaction action;

	for (int nr = 1; nr < 32; nr++)
		if (sigaction(nr, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
		    action.sa_handler != SIG_IGN)
			return false;
	return true;
}

static void use_all(struct quire *q)
{
	char *pages[64];
	void *object = quire_alloc_percpu(q, 64, 0, 0);
	char *area = quire_vmalloc(q, KIB(64), 0);

	for (unsigned i = 0; i < 64; i++) {
		pages[i] = quire_alloc_pages(q, 6, 0);
		if (pages[i] == NULL)
			_exit(REFUSED);
		memset(pages[i], 1, 4096);
	}
	if (object == NULL || area == NULL)
		_exit(REFUSED);
	for (unsigned i = 0; i < 64; i += 2)
		quire_free_pages(q, pages[i], 6);
	quire_vfree(q, area);
	quire_free_percpu(q, object);
	quire_release(q);
	for (unsigned i = 1; i < 64; i += 2)
		quire_free_pages(q, pages[i], 6);
	quire_release(q);
	if (quire_verify(q) != 0)
		_exit(NOT_VERIFIED);
}

/* Any number may be closed and be the program's own file afterwards. */
static void close_all(void *arg)
{
	const struct quire_options *options = arg;
	size_t fds = count_fds();
	struct quire *q = NULL;

	if (quire_create(options, &q) != 0)
		_exit(REFUSED);
	use_all(q);
	if (count_fds() != fds || !handles_no_signal())
		_exit(KEPT);
	for (int fd = 3; fd < 64; fd++)
		dup2(2, fd);
	fds = count_fds();
	use_all(q);
	if (count_fds() != fds)
		_exit(KEPT);
	confine_limit(RLIMIT_NOFILE, 0);
	use_all(q);
	quire_destroy(q);
}

static void an_instance_keeps_no_descriptor_and_no_signal(void **state)
{
	const struct quire_options backings[] = {
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256)),
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .backing = QUIRE_BACKING_MEMFD),
	};

	(void)state;
	skip_if_sanitized();
	for (unsigned i = 0; i < 2; i++)
		expect_life(close_all, (void *)(uintptr_t)&backings[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locked_memory_is_what_is_used),
		cmocka_unit_test(memory_of_a_locked_process_is_locked),
		cmocka_unit_test(under_a_limit_of_locked_memory_what_is_too_much_is_refused),
		cmocka_unit_test(data_is_what_is_used),
		cmocka_unit_test(under_a_limit_of_data_what_is_too_much_is_refused),
		cmocka_unit_test(core_files_have_what_is_used_and_no_reservation),
		cmocka_unit_test(a_core_file_grows_by_what_is_used),
		cmocka_unit_test(gcore_writes_what_is_used_and_little_else),
		cmocka_unit_test(an_instance_keeps_no_descriptor_and_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
