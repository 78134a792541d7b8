/* SPDX-License-Identifier: MIT */
/*
 * Instances begin, work and end under what a system may impose: limits, missing or forbidden system
 * calls, strict overcommit, a wrong configuration.  Each condition is set in a child process.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errno.h"
#include "base/mem.h"
#include "confine.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"
#include "page/pages.h"
#include "quire_test.h"
#include "stress.h"

#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

/* Statuses of children; 0 is fine. */
enum finding {
	CHILD_FINE,
	CHILD_REFUSED = 10,
	CHILD_BROKEN,
	CHILD_VERIFY,
	CHILD_SEQUENCES,
	CHILD_SET_UP,
};

/* Allocates, fills, frees, gives back.  For children: no cmocka. */
static void use_or_exit(struct quire *q)
{
	static struct stress_owner owner;

	stress_begin(&owner, q, 1);
	owner.order_max = 9;
	for (unsigned i = 0; i < 5000; i++)
		stress_step(&owner);
	stress_end(&owner);
	if (owner.broken != 0)
		_exit(CHILD_BROKEN);
	if (owner.refused != 0)
		_exit(CHILD_REFUSED);
	quire_drain_all(q);
	quire_release(q);
	if (quire_verify(q) != 0)
		_exit(CHILD_VERIFY);
}

static void create_and_use(const struct quire_options *options)
{
	struct quire *q = NULL;

	if (quire_create(options, &q) != 0)
		_exit(CHILD_REFUSED);
	use_or_exit(q);
	quire_destroy(q);
}

/* Sanitizers map terabytes, and more as they go. */
/* ---- limits ---------------------------------------------------------------------------------------- */

static void under_64_mib(void *arg)
{
	struct quire *q = NULL;

	(void)arg;
	confine_limit(RLIMIT_AS, MIB(64));
	if (quire_create(NULL, &q) != 0)
		_exit(CHILD_REFUSED);
	if (quire_alloc_pages(q, 9, QUIRE_ZERO) == NULL)
		_exit(CHILD_REFUSED);
	for (unsigned i = 0; i < 1000; i++)
		if (quire_alloc_pages(q, 0, 0) == NULL)
			_exit(CHILD_REFUSED);
	if (quire_verify(q) != 0)
		_exit(CHILD_VERIFY);
	quire_destroy(q);
}

static void an_instance_starts_under_64_mib_of_addresses(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(under_64_mib, NULL);
}

static void without_addresses(void *arg)
{
	struct quire *q = (struct quire *)arg;

	confine_limit(RLIMIT_AS, MIB(1) / 4);
	if (quire_create(NULL, &q) != -ENOMEM || q != arg)
		_exit(CHILD_BROKEN);
	errno = 0;
	if (quire_default() != NULL || errno != ENOMEM)
		_exit(CHILD_BROKEN);
	confine_limit(RLIMIT_AS, MIB(1) / 4);
}

static void without_addresses_creating_is_refused(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(without_addresses, NULL);
}

/* ---- forbidden system calls: how --------------------------------------------------------------------- */

struct denial {
	long call;
	int error;
};

/* ---- sequences off --------------------------------------------------------------------------------- */

static void option_off(void *arg)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .rseq = QUIRE_OFF);

	(void)arg;
	create_and_use(&options);
}

static void it_works_with_rseq_switched_off(void **state)
{
	(void)state;
	expect_life(option_off, NULL);
}

static void second_thread(unsigned index, void *arg)
{
	(void)index;
	use_or_exit(arg);
}

/* This program begun anew with --use or --no-rseq. */
static int child_use(bool may_have_sequences)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256));
	struct quire *q = NULL;

	if (quire_create(&options, &q) != 0)
		return CHILD_REFUSED;
	if (pages_of(q)->stacks.cpu.slots_nr != 0 && !may_have_sequences)
		return CHILD_SEQUENCES;
	team_run(1, second_thread, q);
	use_or_exit(q);
	quire_destroy(q);
	return CHILD_FINE;
}

/* How to begin this program anew: what it is to do, under which condition. */
struct start {
	const char *argument, *variable, *value;
	const struct denial *denial;
};

/* Does so in a child; returns its wait status and what it wrote to stderr. */
static int run_self(const struct start *start, char *output, size_t output_bytes)
{
	int ends[2], status = 0;
	size_t done = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (start->variable != NULL)
			setenv(start->variable, start->value, 1);
		if (start->denial != NULL)
			confine_deny(start->denial->call, start->denial->error);
		dup2(ends[1], STDERR_FILENO);
		execl("/proc/self/exe", "page_start_test", start->argument, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	while ((got = read(ends[0], output + done, output_bytes - 1 - done)) > 0)
		done += (size_t)got;
	output[done] = '\0';
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

static void check_start(const struct start *start)
{
	char output[1024];
	int status = run_self(start, output, sizeof(output));

	assert_string_equal(output, "");
	assert_int_equal(status, 0);
}

static void it_works_where_libc_registered_no_rseq(void **state)
{
	const struct start start = { .argument = "--no-rseq",
				     .variable = "GLIBC_TUNABLES",
				     .value = "glibc.pthread.rseq=0" };

	(void)state;
	check_start(&start);
}

/* ---- forbidden system calls: what happens ------------------------------------------------------------ */

static void check_denied(const char *argument, long call, int error)
{
	const struct denial denial = { call, error };
	const struct start start = { .argument = argument, .denial = &denial };

	check_start(&start);
}

static void it_works_where_membarrier_is_denied(void **state)
{
	(void)state;
	check_denied("--no-rseq", SYS_membarrier, EPERM);
	check_denied("--no-rseq", SYS_membarrier, ENOSYS);
}

static void it_works_where_process_madvise_is_denied(void **state)
{
	(void)state;
	check_denied("--use", SYS_process_madvise, EPERM);
	check_denied("--use", SYS_process_madvise, ENOSYS);
}

/* libc registers the first thread before main(): the filter is there by then. */
static void it_works_where_rseq_is_denied(void **state)
{
	(void)state;
	check_denied("--no-rseq", SYS_rseq, EPERM);
	check_denied("--no-rseq", SYS_rseq, ENOSYS);
}

/* No huge pages then, and nothing is given back. */
static void it_works_where_all_advice_is_denied(void **state)
{
	(void)state;
	skip_if_sanitized();
	check_denied("--use", SYS_madvise, EINVAL);
}

/* ---- strict overcommit ------------------------------------------------------------------------------- */

#define OVERCOMMIT "/proc/sys/vm/overcommit_memory"

/* The old setting, or 0 if the file may not be written. */
static char overcommit_set(char mode)
{
	char before = 0;
	int fd = open(OVERCOMMIT, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, &before, 1) != 1 || pwrite(fd, &mode, 1, 0) != 1)
		before = 0;
	close(fd);
	return before;
}

static void huge_limit(void *arg)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)1 << 40, .worker = QUIRE_WORKER_OFF);

	(void)arg;
	create_and_use(&options);
}

static void a_terabyte_limit_starts_under_strict_overcommit(void **state)
{
	char before = overcommit_set('2');
	pid_t child;
	int status;

	(void)state;
	if (before == 0)
		skip_because(OVERCOMMIT " may not be written here");
	child = child_fork();
	if (child == 0) {
		huge_limit(NULL);
		_exit(0);
	}
	status = child_wait(child);
	overcommit_set(before);
	assert_int_equal(status, 0);
}

static void a_terabyte_limit_costs_nothing_until_used(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)1 << 40, .worker = QUIRE_WORKER_OFF);
	uint64_t before = resident_bytes(), tables = status_bytes("VmPTE");
	struct quire *q = NULL;
	void *page;

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	page = quire_alloc_pages(q, 0, 0);
	assert_non_null(page);
	assert_true(resident_bytes() < before + MIB(1));
	assert_true(status_bytes("VmPTE") < tables + MIB(1) / 4);
	quire_free_pages(q, page, 0);
	quire_destroy(q);
}

/* ---- nothing stays ----------------------------------------------------------------------------------- */

static void cycle(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .decay_ms = 1);
	struct quire *q = NULL;
	void *block;

	assert_int_equal(quire_create(&options, &q), 0);
	block = quire_alloc_pages(q, 9, 0);
	assert_non_null(block);
	memset(block, 1, MIB(2));
	quire_free_pages(q, block, 9);
	quire_release(q);
	for (unsigned i = 0; i < 100; i++)
		quire_free_pages(q, quire_alloc_pages(q, i % 5, 0), i % 5);
	quire_destroy(q);
}

static void cycles_leave_maps_fds_and_threads_as_they_were(void **state)
{
	size_t maps, fds, threads;

	(void)state;
	skip_if_sanitized();
	cycle();
	maps = count_maps();
	fds = count_fds();
	threads = count_threads();
	for (unsigned i = 0; i < 100; i++)
		cycle();
	assert_u64_eq(count_maps(), maps);
	assert_u64_eq(count_fds(), fds);
	assert_u64_eq(count_threads(), threads);
}

static bool maps_name(const char *name)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		found = found || strstr(line, name) != NULL;
	fclose(file);
	return found;
}

static void mappings_have_names(void **state)
{
	struct quire *q = NULL;

	(void)state;
	assert_int_equal(quire_create(NULL, &q), 0);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	if (prctl(0x53564d41, 0, q, mem_page_bytes(), "quire") != 0) {
		quire_destroy(q);
		skip_because("this kernel names no mappings");
	}
	assert_true(maps_name("[anon:quire-pages]"));
	assert_true(maps_name("[anon:quire]"));
	quire_destroy(q);
	assert_false(maps_name("[anon:quire"));
}

/* ---- configuration ------------------------------------------------------------------------------------ */

static int child_default(void)
{
	struct quire *q = quire_default();
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	if (q == NULL)
		return CHILD_REFUSED;
	quire_page_stat_read(q, &stat);
	use_or_exit(q);
	return stat.limit_pages == MIB(96) >> stat.page_shift && stat.zones_nr == 2 &&
			       quire_default() == q
		       ? CHILD_FINE
		       : CHILD_BROKEN;
}

static void the_default_instance_obeys_quire_conf(void **state)
{
	const struct start start = { .argument = "--default",
				     .variable = "QUIRE_CONF",
				     .value = "limit:96m,zones:2,worker:off" };

	(void)state;
	check_start(&start);
}

static void check_conf_refused(const char *conf, const char *names)
{
	const struct start start = { .argument = "--default",
				     .variable = "QUIRE_CONF",
				     .value = conf };
	char output[1024];
	int status = run_self(&start, output, sizeof(output));

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 2);
	if (strstr(output, names) == NULL || strchr(output, '\n') != strrchr(output, '\n') ||
	    output[strlen(output) - 1] != '\n')
		fail_msg("\"%s\" should draw one line naming %s, not: %s", conf, names, output);
}

static void a_wrong_quire_conf_ends_the_process_with_one_line(void **state)
{
	(void)state;
	check_conf_refused("limt:96m", "limit");
	check_conf_refused("limit:many", "limit");
	check_conf_refused("zones:9", "zones");
	check_conf_refused("worker:maybe", "worker");
}

static void two_instances_live_side_by_side(void **state)
{
	const struct quire_options small =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .rseq = QUIRE_OFF);
	const struct quire_options zoned = QUIRE_OPTIONS_INIT(.limit_bytes = MIB(128), .zones = 2);
	struct stress_owner owners[2];
	struct quire *q[2] = { NULL, NULL };

	(void)state;
	assert_int_equal(quire_create(&small, &q[0]), 0);
	assert_int_equal(quire_create(&zoned, &q[1]), 0);
	for (unsigned i = 0; i < 2; i++)
		stress_begin(&owners[i], q[i], i);
	for (unsigned i = 0; i < 20000; i++)
		stress_step(&owners[i % 2]);
	for (unsigned i = 0; i < 2; i++) {
		assert_null(
			quire_page_address(q[1 - i], stress_any(&owners[i], &owners[i].random)));
		stress_end(&owners[i]);
		assert_u64_eq(owners[i].broken + owners[i].refused, 0);
		stress_assert_conserved(q[i]);
	}
	quire_destroy(q[0]);
	stress_assert_conserved(q[1]);
	quire_destroy(q[1]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instance_starts_under_64_mib_of_addresses),
		cmocka_unit_test(without_addresses_creating_is_refused),
		cmocka_unit_test(it_works_with_rseq_switched_off),
		cmocka_unit_test(it_works_where_libc_registered_no_rseq),
		cmocka_unit_test(it_works_where_membarrier_is_denied),
		cmocka_unit_test(it_works_where_process_madvise_is_denied),
		cmocka_unit_test(it_works_where_rseq_is_denied),
		cmocka_unit_test(it_works_where_all_advice_is_denied),
		cmocka_unit_test(a_terabyte_limit_starts_under_strict_overcommit),
		cmocka_unit_test(a_terabyte_limit_costs_nothing_until_used),
		cmocka_unit_test(cycles_leave_maps_fds_and_threads_as_they_were),
		cmocka_unit_test(mappings_have_names),
		cmocka_unit_test(the_default_instance_obeys_quire_conf),
		cmocka_unit_test(a_wrong_quire_conf_ends_the_process_with_one_line),
		cmocka_unit_test(two_instances_live_side_by_side),
	};

	if (argc > 1 && strcmp(argv[1], "--no-rseq") == 0)
		return child_use(false);
	if (argc > 1 && strcmp(argv[1], "--use") == 0)
		return child_use(true);
	if (argc > 1 && strcmp(argv[1], "--default") == 0)
		return child_default();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
