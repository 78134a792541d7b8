/* SPDX-License-Identifier: MIT */
/* machine_group_test.c - the process's control groups: from one to those above it, and what their files limit */
#include "quire_test.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "machine/linux/group.h"
#include "machine/mem.h"
#include "machine/process.h"

static void a_group_has_no_slash_at_its_end(void **state)
{
	(void)state;
	assert_int_equal(group_of("/a/bc"), 5);
	assert_int_equal(group_of("/a/bc//"), 5);
	assert_int_equal(group_of("/"), 0);
	assert_int_equal(group_of(""), 0);
	assert_int_equal(group_above("/a/bc", 5), 2);
	assert_int_equal(group_above("/a//bc", 6), 2);
	assert_int_equal(group_above("/a", 2), 0);
}

static void a_name_that_is_too_long_is_none(void **state)
{
	char path[GROUP_BYTES], file[GROUP_BYTES];

	(void)state;
	assert_true(group_file(file, "/mount", "/a/bc", 2, "name"));
	assert_string_equal(file, "/mount/a/name");
	assert_true(group_file(file, "/mount", "/", 0, "name"));
	assert_string_equal(file, "/mount/name");
	memset(path, 'x', sizeof(path));
	assert_true(group_file(file, "/m", path, GROUP_BYTES - 5, "n"));
	assert_int_equal(strlen(file), GROUP_BYTES - 1);
	assert_false(group_file(file, "/m", path, GROUP_BYTES - 4, "n"));
}

static void a_number_ends_where_its_digits_do(void **state)
{
	static const struct {
		const char *text;
		uint64_t number;
		size_t digits_nr;
	} cases[] = {
		{ .text = "4096\n", .number = 4096, .digits_nr = 4 },
		{ .text = "12 7", .number = 12, .digits_nr = 2 },
		{ .text = "max", .number = 0, .digits_nr = 0 },
		{ .text = "18446744073709551615", .number = UINT64_MAX, .digits_nr = 20 },
		{ .text = "18446744073709551616 ", .number = UINT64_MAX, .digits_nr = 20 },
		{ .text = "99999999999999999999999", .number = UINT64_MAX, .digits_nr = 23 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *at = cases[i].text;

		assert_u64_eq(group_number(&at), cases[i].number);
		assert_int_equal(at - cases[i].text, cases[i].digits_nr);
	}
}

/* ---- groups of our own ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_group(const char *path)
{
	CHECK(mkdir(path, 0755) == 0);
}

/* The process is in /a/b of version 2, and in /x of version 1's memory. */
static void make_groups(void)
{
	CHECK(confine_hide("/sys/fs/cgroup"));
	make_group("/sys/fs/cgroup/a");
	make_group("/sys/fs/cgroup/a/b");
	make_group("/sys/fs/cgroup/memory");
	make_group("/sys/fs/cgroup/memory/x");
	write_file("/sys/fs/cgroup/lines", "12:pids:/a/b\n9:memory:/x\n0::/a/b\n");
	CHECK(mount("/sys/fs/cgroup/lines", "/proc/self/cgroup", NULL, MS_BIND, NULL) == 0);
}

static void check_limit(uint64_t bytes, enum mem_limit_source source)
{
	struct mem_limit limit = mem_limit_read();

	CHECK_VALUES(limit.bytes == bytes && limit.source == source, limit.bytes, limit.source);
}

static void limits_of_groups(void *arg)
{
	(void)arg;
	make_groups();
	write_file("/sys/fs/cgroup/a/b/memory.max", "33554432\n");
	check_limit(MIB(32), MEM_LIMIT_MAX);
	write_file("/sys/fs/cgroup/a/memory.max", "16777216\n");
	check_limit(MIB(16), MEM_LIMIT_MAX);
	write_file("/sys/fs/cgroup/a/memory.high", "8388608\n");
	check_limit(MIB(8), MEM_LIMIT_HIGH);
	write_file("/sys/fs/cgroup/memory.max", "7340032\n");
	check_limit(MIB(7), MEM_LIMIT_MAX);
	write_file("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "6291456\n");
	check_limit(MIB(6), MEM_LIMIT_MAX);
	write_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "5242880\n");
	check_limit(MIB(5), MEM_LIMIT_MAX);
}

static void quotas_of_groups(void *arg)
{
	struct process_cpus cpus;

	(void)arg;
	make_groups();
	write_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	CHECK(process_cpus_read().source != CPUS_QUOTA);
	write_file("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
	cpus = process_cpus_read();
	CHECK_VALUES(cpus.nr == 1 && cpus.source == CPUS_QUOTA, cpus.nr, cpus.source);
}

static void need_mounts(void)
{
	pid_t child = child_fork();

	if (child == 0)
		_exit(confine_hide("/sys/fs/cgroup") ? 0 : 1);
	if (child_wait(child) != 0)
		skip_because("no file systems of its own");
}

static void the_limits_of_all_groups_above_apply(void **state)
{
	(void)state;
	need_mounts();
	expect_life(limits_of_groups, NULL);
}

static void the_quota_of_a_group_above_applies(void **state)
{
	(void)state;
	need_mounts();
	if (process_cpus_read().nr < 2)
		skip_because("one CPU anyway");
	expect_life(quotas_of_groups, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_has_no_slash_at_its_end),
		cmocka_unit_test(a_name_that_is_too_long_is_none),
		cmocka_unit_test(a_number_ends_where_its_digits_do),
		cmocka_unit_test(the_limits_of_all_groups_above_apply),
		cmocka_unit_test(the_quota_of_a_group_above_applies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
