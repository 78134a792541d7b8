/* SPDX-License-Identifier: MIT */
/*
 * stats_test QUIRE - an observed process, and `quire stats` as its users meet it
 *
 * The observed processes are children of the test, so that each ends as it is told.  They write into a runtime directory of the
 * test's own.
 */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/quire.h>
#include <quire/vmap.h>

#include "common/json_reader.h"
#include "confine.h"
#include "scratch.h"
#include "shell.h"
#include "stat/figures.h"
#include "stats/seen.h"
#include "stats/stats.h"
#include "top/top.h"

#define AREA_BYTES ((size_t)3 << 20)

static const char *quire_path;
static struct seen seen;

struct answer {
	int status;
	char text[65536]; /* both streams */
};

static struct answer answer;

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char line[1024];
	size_t used = (size_t)snprintf(line, sizeof(line), "'%s' ", quire_path);
	va_list args;

	va_start(args, format);
	used += (size_t)vsnprintf(line + used, sizeof(line) - used, format, args);
	va_end(args);
	snprintf(line + used, sizeof(line) - used, " 2>&1");
	answer.status = shell_answer(line, answer.text, sizeof(answer.text));
}

/* A command that must succeed. */
static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
	char line[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	assert_int_equal(shell_status(line), 0);
}

static void expect(int status, const char *text)
{
	if (answer.status != status || strstr(answer.text, text) == NULL)
		fail_msg("status %d, expected %d and \"%s\":\n%s", answer.status, status, text,
			 answer.text);
}

/* ---- observed processes ---- */

/* Uses @areas areas and waits to be killed. */
static void live(unsigned areas, const struct quire_options *options)
{
	struct quire *q;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* if the test ends first */
	if (quire_create(options, &q) != 0)
		_exit(1);
	for (unsigned i = 0; i < areas; i++)
		if (quire_vmalloc(q, AREA_BYTES, 0) == NULL)
			_exit(1);
	if (quire_alloc_pages(q, 4, 0) == NULL)
		_exit(1);
	for (;;)
		pause();
}

static pid_t start(unsigned areas)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .observe = QUIRE_ON);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		live(areas, &options);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Waits until the process shows that many areas. */
static void await(pid_t pid, unsigned areas)
{
	const struct seen_wanted wanted = { .pid = (uint32_t)pid };
	uint64_t shown = 0;

	for (unsigned i = 0; i < 3000; i++) {
		if (seen_find(&wanted, &seen) == 0 &&
		    seen_number(&seen, "vmap", "busy_areas", &shown) && shown == areas)
			return;
		usleep(10000);
	}
	fail_msg("process %d shows %u areas, not %u", (int)pid, (unsigned)shown, areas);
}

/* Where the page is for this process: it was found as the observed one sees it. */
static const char *page_path(void)
{
	const char *inside = seen.path;

	if (strncmp(inside, "/proc/", 6) == 0) /* PID, root */
		inside = strchr(strchr(inside + 6, '/') + 1, '/');
	return inside;
}

/* ---- claims ---- */

static void a_process_shows_what_it_holds(void **state)
{
	pid_t pid = start(2);
	uint64_t value;

	(void)state;
	await(pid, 2);
	assert_true(seen.alive);
	assert_int_equal(seen.pid, pid);
	assert_string_equal(seen.header.process.command, "stats_test");
	assert_true(seen_number(&seen, "vmap", "busy_bytes", &value));
	assert_u64_eq(value, 2 * AREA_BYTES);
	assert_true(seen_number(&seen, "page", "limit_bytes", &value));
	assert_u64_eq(value, (uint64_t)256 << 20);
	assert_false(seen_number(&seen, "page", "no_such_figure", &value));
	assert_non_null(strstr(seen_section(&seen, "options"), "observe:on"));
	assert_non_null(strstr(seen_section(&seen, "buddyinfo"), "Node 0, zone"));
	assert_non_null(strstr(seen_section(&seen, "vmallocinfo"), "vmalloc"));
	assert_null(seen_section(&seen, "no_such_section"));
	end(pid);
}

static void what_it_showed_stays_when_it_was_killed(void **state)
{
	pid_t pid = start(1);
	const struct seen_wanted wanted = { .pid = (uint32_t)pid };
	uint64_t value;

	(void)state;
	await(pid, 1);
	end(pid);
	assert_int_equal(seen_find(&wanted, &seen), 0);
	assert_false(seen.alive);
	assert_true(seen_number(&seen, "vmap", "busy_bytes", &value));
	assert_u64_eq(value, AREA_BYTES);
}

static void a_child_of_fork_shows_its_own(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .observe = QUIRE_ON);
	struct quire *q;
	pid_t pid;

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	assert_non_null(quire_vmalloc(q, AREA_BYTES, 0));
	await(getpid(), 1);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (quire_vmalloc(q, AREA_BYTES, 0) == NULL)
			_exit(1);
		for (;;)
			pause();
	}
	await(pid, 2);
	await(getpid(), 1);
	end(pid);
	quire_destroy(q);
}

static unsigned files_nr(void)
{
	char line[256], text[32];
	unsigned nr = 0;

	snprintf(line, sizeof(line), "ls %s/quire 2>/dev/null | wc -l", scratch);
	assert_int_equal(shell_answer(line, text, sizeof(text)), 0);
	assert_int_equal(sscanf(text, "%u", &nr), 1);
	return nr;
}

/* A short-lived process leaves no file, nor does an instance that is gone. */
static void a_file_is_made_late_and_goes_with_its_instance(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .observe = QUIRE_ON);
	unsigned before = files_nr();
	struct quire *q;

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	assert_non_null(quire_vmalloc(q, AREA_BYTES, 0));
	quire_poll(q);
	quire_destroy(q);
	assert_int_equal(files_nr(), before);
	assert_int_equal(quire_create(&options, &q), 0);
	assert_non_null(quire_vmalloc(q, AREA_BYTES, 0));
	await(getpid(), 1);
	assert_int_equal(files_nr(), before + 1);
	quire_destroy(q);
	assert_int_equal(files_nr(), before);
}

static void without_the_option_there_is_no_file(void **state)
{
	struct quire *q;
	unsigned before = files_nr();

	(void)state;
	assert_int_equal(quire_create(NULL, &q), 0);
	assert_non_null(quire_vmalloc(q, 8 * AREA_BYTES, 0));
	quire_poll(q);
	quire_destroy(q);
	assert_int_equal(files_nr(), before);
}

/* Others could put a link there, or a file of their own. */
static void a_folder_that_others_may_write_to_is_not_used(void **state)
{
	char folder[64];
	struct stat status;
	pid_t pid;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/quire", scratch);
	assert_int_equal(chmod(folder, 0777), 0);
	pid = start(1);
	await(pid, 1); /* in the other folder */
	assert_null(strstr(seen.path, scratch));
	end(pid);
	assert_int_equal(unlink(page_path()), 0);
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(stat(folder, &status), 0);
}

static void without_a_number_it_is_the_one_with_the_most_memory(void **state)
{
	const struct seen_wanted wanted = { .pid = 0 };
	pid_t small = start(1), large = start(3);

	(void)state;
	await(small, 1);
	await(large, 3);
	assert_int_equal(seen_find(&wanted, &seen), 0);
	assert_int_equal(seen.pid, large);
	end(large);
	assert_int_equal(seen_find(&wanted, &seen), 0);
	assert_int_equal(seen.pid, small); /* it lives */
	end(small);
}

static void put_section(int fd, unsigned idx)
{
	const off_t at = (off_t)(seen.header.sections_offset + idx * seen.header.section_bytes);

	assert_int_equal(pwrite(fd, &seen.section[idx], sizeof(seen.section[idx]), at),
			 sizeof(seen.section[idx]));
}

static void put_header(int fd)
{
	const size_t bytes = offsetof(struct page_header, section);

	assert_int_equal(pwrite(fd, &seen.header, bytes, 0), bytes);
}

/* As if the process had been killed in the middle of a copy. */
static void a_torn_section_is_said_and_not_given_to_programs(void **state)
{
	pid_t pid = start(1);
	int fd;

	(void)state;
	await(pid, 1);
	assert_false(seen.torn);
	end(pid);
	fd = open(page_path(), O_RDWR);
	assert_true(fd >= 0);
	assert_string_equal(seen.section[0].name, "json");
	seen.section[0].seq |= 1;
	put_section(fd, 0);
	run("stats %d", (int)pid);
	expect(0, "while it was writing this");
	expect(0, "3.00 MiB in areas");
	run("stats --json %d", (int)pid);
	expect(1, "while it was writing this");
	assert_null(strstr(answer.text, "busy_areas"));
	run("stats --prometheus %d", (int)pid);
	expect(1, "while it was writing this");
	close(fd);
	assert_int_equal(unlink(page_path()), 0);
}

/* A longer header, longer entries of the table, a section more, a longer file. */
static void a_page_of_a_later_version_is_read(void **state)
{
	static char table[(PAGE_SECTIONS_NR + 1) * (sizeof(struct page_section) + 8)];
	const size_t entry_bytes = sizeof(struct page_section) + 8;
	const struct page_section more = {
		.name = "later", .offset = PAGE_BYTES + 4096, .room_bytes = 64, .bytes = 3
	};
	pid_t pid = start(2);
	const struct seen_wanted wanted = { .pid = (uint32_t)pid };
	uint64_t value;
	int fd;

	(void)state;
	await(pid, 2);
	end(pid);
	fd = open(page_path(), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE_BYTES + 8192), 0);
	memcpy(table, &more, sizeof(more)); /* first: nothing depends on the order */
	for (unsigned i = 0; i < PAGE_SECTIONS_NR; i++)
		memcpy(table + (i + 1) * entry_bytes, &seen.section[i], sizeof(seen.section[i]));
	seen.header.header_bytes += 16;
	seen.header.sections_nr = PAGE_SECTIONS_NR + 1;
	seen.header.sections_offset = PAGE_BYTES;
	seen.header.section_bytes = (uint32_t)entry_bytes;
	put_header(fd);
	assert_int_equal(pwrite(fd, table, sizeof(table), PAGE_BYTES), sizeof(table));
	assert_int_equal(pwrite(fd, "new", 3, PAGE_BYTES + 4096), 3);
	assert_int_equal(seen_find(&wanted, &seen), 0);
	assert_string_equal(seen_section(&seen, "later"), "new");
	assert_true(seen_number(&seen, "vmap", "busy_areas", &value));
	assert_u64_eq(value, 2);
	close(fd);
	assert_int_equal(unlink(page_path()), 0);
}

static void a_page_that_is_being_made_is_not_there_yet(void **state)
{
	pid_t pid = start(0);
	const struct seen_wanted wanted = { .pid = (uint32_t)pid };
	char path[PATH_MAX];
	int fd;

	(void)state;
	await(pid, 0);
	end(pid);
	snprintf(path, sizeof(path), "%s", page_path());
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	seen.header.magic = 0;
	put_header(fd);
	assert_int_equal(seen_find(&wanted, &seen), -ENOENT);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(seen_find(&wanted, &seen), -ENOENT);
	run("stats %d", (int)pid);
	expect(1, "shows no figures");
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void a_damaged_page_is_refused(void **state)
{
	char path[PATH_MAX];
	pid_t pid = start(0);
	int fd;

	(void)state;
	await(pid, 0);
	end(pid);
	snprintf(path, sizeof(path), "%s", page_path());
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	seen.section[0].offset = PAGE_BYTES - 1;
	put_section(fd, 0);
	run("stats %d", (int)pid);
	expect(2, "damaged, or of another version");
	assert_int_equal(ftruncate(fd, 100), 0);
	run("stats %d", (int)pid);
	expect(2, "damaged, or of another version");
	close(fd);
	assert_int_equal(unlink(path), 0);
}

static void run_on_file(const char *make)
{
	pid_t pid = start(0);

	await(pid, 0);
	end(pid);
	shell("rm -f '%s' && %s '%s'", page_path(), make, page_path());
	run("stats %d", (int)pid);
	assert_int_equal(unlink(page_path()), 0);
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	run_on_file("mkfifo");
	expect(2, "damaged, or of another version");
	run_on_file("ln -s /dev/zero");
	expect(2, "damaged, or of another version");
}

/* As a hostile writer does: each count of the header and of the table is larger than what there is. */
static void counts_of_a_page_are_not_believed(void **state)
{
	pid_t pid = start(0);
	uint32_t sections_nr;
	int fd;

	(void)state;
	await(pid, 0);
	end(pid);
	fd = open(page_path(), O_RDWR);
	assert_true(fd >= 0);
	sections_nr = seen.header.sections_nr;
	seen.header.sections_nr = UINT32_MAX;
	put_header(fd);
	run("stats %d", (int)pid);
	expect(2, "damaged, or of another version");
	seen.header.sections_nr = sections_nr;
	put_header(fd);
	run("stats %d", (int)pid);
	expect(0, "which has ended");
	seen.section[1].bytes = PAGE_BYTES;
	put_section(fd, 1);
	run("stats %d", (int)pid);
	expect(2, "damaged, or of another version");
	close(fd);
	assert_int_equal(unlink(page_path()), 0);
}

static unsigned index_of_section(const char *name)
{
	unsigned i = 0;

	while (i < seen.sections_nr && strcmp(seen.section[i].name, name) != 0)
		i++;
	assert_true(i < seen.sections_nr);
	return i;
}

/* As a hostile writer does: numbers of 20 digits, which are more than a line of the screen is long, and an escape. */
static void texts_of_a_page_are_not_believed(void **state)
{
	char text[512] = "Node 0, zone   Normal";
	pid_t pid = start(0);
	struct page_section *section;
	unsigned idx;
	int fd;

	(void)state;
	await(pid, 0);
	end(pid);
	for (unsigned order = 0; order < 11; order++)
		strcat(text, " 18446744073709551615");
	strcat(text, "\n\033[7m\tas white as black\n");
	fd = open(page_path(), O_RDWR);
	assert_true(fd >= 0);
	idx = index_of_section("buddyinfo");
	section = &seen.section[idx];
	section->bytes = (uint32_t)strlen(text);
	put_section(fd, idx);
	assert_int_equal(pwrite(fd, text, section->bytes, section->offset), section->bytes);
	close(fd);
	run("top --batch -n 1 %d", (int)pid);
	expect(0, "of order  18446744073709551615 18446744073709551615 ");
	run("stats --shape buddyinfo %d", (int)pid);
	expect(0, "\n?[7m\tas white as black\n");
	assert_int_equal(unlink(page_path()), 0);
}

static void one_that_nobody_waited_for_has_ended(void **state)
{
	pid_t pid = start(1);
	const struct seen_wanted wanted = { .pid = (uint32_t)pid }, any = { .pid = 0 };
	siginfo_t info;

	(void)state;
	await(pid, 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(seen_find(&wanted, &seen), 0);
	assert_false(seen.alive);
	assert_int_equal(seen_find(&any, &seen), 0);
	assert_false(seen.alive);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* In a folder of another pid namespace, and by a process that had no /proc, numbers say nothing. */
static void a_page_of_another_namespace_is_not_taken_for_a_process_here(void **state)
{
	const struct seen_wanted any = { .pid = 0 };
	char path[2][128];
	pid_t pid = start(1);

	(void)state;
	await(pid, 1);
	snprintf(path[0], sizeof(path[0]), "%s/quire/%d-%llu-4711", scratch, (int)pid,
		 (unsigned long long)seen.header.process.start_ticks);
	snprintf(path[1], sizeof(path[1]), "%s/quire/%d-0-%llu", scratch, (int)pid,
		 (unsigned long long)seen.header.process.pids_space);
	assert_int_equal(rename(page_path(), path[0]), 0);
	assert_int_equal(seen_find(&any, &seen), 0);
	assert_int_equal(seen.header.process.pid, pid);
	assert_false(seen.alive);
	end(pid);
	assert_int_equal(rename(path[0], path[1]), 0);
	assert_int_equal(seen_find(&any, &seen), 0);
	assert_int_equal(seen.header.process.pid, pid);
	assert_false(seen.alive);
	assert_int_equal(unlink(path[1]), 0);
}

/* As that of a process that has another user now than when it made its page. */
static void the_page_may_be_in_another_users_folder(void **state)
{
	static const char folder[] = "/dev/shm/quire-4000004711";
	pid_t pid = start(1);

	(void)state;
	await(pid, 1);
	shell("mkdir -m 700 %s && mv '%s' %s", folder, page_path(), folder);
	await(pid, 1);
	assert_true(seen.alive);
	assert_non_null(strstr(seen.path, folder));
	shell("rm -r %s", folder);
	end(pid);
}

/* A link could lead to anything, for a reader that may read more than who made it. */
static void a_folder_that_is_a_link_is_not_followed(void **state)
{
	const struct seen_wanted any = { .pid = 0 };
	pid_t pid = start(1);

	(void)state;
	await(pid, 1);
	shell("cd %s && mv quire elsewhere && ln -s elsewhere quire", scratch);
	assert_int_not_equal(seen_find(&any, &seen) == 0 && seen.pid == (uint32_t)pid, 1);
	shell("cd %s && rm quire && mv elsewhere quire", scratch);
	end(pid);
}

static void the_dead_leave_sixteen_pages(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		pid_t pid = start(0);

		await(pid, 0);
		end(pid);
	}
	assert_true(files_nr() >= 20);
	run("stats");
	expect(0, "which has ended");
	assert_in_range(files_nr(), 1,
			16); /* pages of others may be among those that were updated last */
}

static void every_form_is_printed(void **state)
{
	pid_t pid = start(2);
	size_t offset;
	double areas;

	(void)state;
	await(pid, 2);
	run("stats %d", (int)pid);
	expect(0, "stats_test");
	expect(0, "6.00 MiB in areas");
	expect(0, "memory of areas in use");
	assert_null(strstr(answer.text, "pageblocks are under")); /* a tiny program is no finding */
	run("stats --json %d", (int)pid);
	expect(0, "{\"schema\":\"quire-stat\"");
	assert_true(json_is_right(answer.text, &offset));
	assert_true(json_number(answer.text, "vmap.busy_areas", &areas) && areas == 2);
	run("stats --prometheus %d", (int)pid);
	expect(0, "# TYPE quire_vmap_busy_areas gauge\nquire_vmap_busy_areas{pid=");
	run("stats --shape buddyinfo %d", (int)pid);
	expect(0, "Node 0, zone");
	run("stats --shape options %d", (int)pid);
	expect(0, "observe:on");
	end(pid);
}

/* A living process's name says anything, and its file is on a terminal and in a collector's file. */
static void a_name_does_no_harm(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .observe = QUIRE_ON);
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		prctl(PR_SET_NAME, "a\"b\\\t\033[7m\n");
		live(1, &options);
	}
	await(pid, 1);
	run("stats %d", (int)pid);
	expect(0, ", a\"b\\??[7m, as it was");
	run("stats --prometheus %d", (int)pid);
	expect(0, "command=\"a\\\"b\\\\??[7m\",instance=\"1\"} 3145728\n");
	expect(0, "instance=\"1\"} 1\n# HELP quire_updated_timestamp_seconds");
	end(pid);
	run("stats --prometheus %d", (int)pid);
	expect(0, "instance=\"1\"} 0\n# HELP quire_updated_timestamp_seconds");
}

/* ---- what stands out ---- */

static void expect_findings(const char *json, const char *text)
{
	char lines[STATS_FINDINGS_MAX][160];
	unsigned nr;

	seen = (struct seen){ .sections_nr = 1, .section = { { .name = "json" } } };
	snprintf(seen.text, sizeof(seen.text), "%s", json);
	nr = stats_findings(&seen, lines);
	assert_int_equal(nr, text != NULL);
	if (text != NULL)
		assert_string_equal(lines[0], text);
}

static void a_finding_is_much_memory(void **state)
{
	(void)state;
	expect_findings("{\"page\":{\"allocated_bytes\":104857600}}", NULL);
	expect_findings(
		"{\"page\":{\"allocated_bytes\":104857600,\"free_bytes\":209715200,"
		"\"unbacked_bytes\":104857600}}",
		"100 MiB of free pages still have their memory: a shorter decay gives it back "
		"sooner");
	expect_findings("{\"page\":{\"allocated_bytes\":104857600,\"free_bytes\":209715200,"
			"\"unbacked_bytes\":200000000}}",
			NULL);
	expect_findings(
		"{\"page\":{\"online_bytes\":104857600,\"pageblock_bytes\":2097152,"
		"\"allocated_bytes\":1048576,\"sparse_blocks\":49,"
		"\"sparse_used_bytes\":1048576,\"sparse_rest_bytes\":101711872,"
		"\"pinned_bytes\":49283072}}",
		"49 of 50 pageblocks are under 5 % in use: 50.0 MiB are held beside 1.00 MiB");
	/* Their memory has gone back. */
	expect_findings("{\"page\":{\"online_bytes\":104857600,\"pageblock_bytes\":2097152,"
			"\"allocated_bytes\":1048576,\"sparse_blocks\":49,"
			"\"sparse_rest_bytes\":101711872,\"pinned_bytes\":101711872}}",
			NULL);
}

/* Gauges of different moments may contradict each other: a difference is then nothing, and no huge number. */
static void a_finding_never_says_less_than_nothing(void **state)
{
	(void)state;
	expect_findings("{\"page\":{\"allocated_bytes\":1048576,\"free_bytes\":1048576,"
			"\"unbacked_bytes\":209715200,\"online_bytes\":2097152,"
			"\"pageblock_bytes\":2097152,\"sparse_blocks\":1,"
			"\"sparse_rest_bytes\":1048576,\"pinned_bytes\":209715200}}",
			NULL);
}

static void a_sentence_fits_the_narrowest_screen(void **state)
{
	static struct top_state top;
	static struct top_screen screen;

	(void)state;
	expect_findings("{\"page\":{\"allocated_bytes\":104857600,\"limit_bytes\":104857600,"
			"\"refusals\":7}}",
			"7 allocations were refused; the limit is 100 MiB");
	top = (struct top_state){ .now = seen };
	for (unsigned columns = 1; columns < TOP_COLUMNS_MIN; columns++) {
		screen.lines = TOP_LINES_MAX;
		screen.columns = columns;
		top_draw(&top, VIEW_MAIN, &screen);
		for (unsigned i = 0; i < screen.used; i++)
			assert_in_range(strlen(screen.line[i]), 0, columns);
	}
}

/* ---- growth ---- */

/* What top says after @seconds, of which each had as much in use as @used says. */
static unsigned growth_after(unsigned seconds, uint64_t (*used)(unsigned second),
			     char lines[GROWTH_LINES_MAX][160])
{
	static struct top_state top;

	top = (struct top_state){ .used_nr = seconds };
	for (unsigned i = 0; i < seconds; i++)
		top.used[i % HISTORY_NR] = top.used_bytes = used(i);
	return top_growth(&top, lines);
}

static uint64_t steadily(unsigned second)
{
	return MIB(10 + second);
}

static uint64_t slowly(unsigned second)
{
	return MIB(1000) + MIB(second) / 8;
}

static uint64_t by_peaks(unsigned second)
{
	return MIB(second % 5 == 0 ? 20 + second : 20);
}

static uint64_t once(unsigned second)
{
	return MIB(second < 10 ? 10 : 100);
}

static uint64_t with_falls(unsigned second)
{
	return MIB(10 + 4 * second - 10 * (second % 4));
}

static void only_what_does_not_fall_back_is_growth(void **state)
{
	char lines[GROWTH_LINES_MAX][160];

	(void)state;
	assert_int_equal(growth_after(7, steadily, lines), 0); /* too early to tell */
	assert_int_equal(growth_after(20, steadily, lines), 2);
	assert_string_equal(lines[0],
			    "memory in use rises and does not fall back: from 10.0 MiB to "
			    "29.0 MiB in 20 s; if that goes on, it is a leak");
	assert_int_equal(growth_after(200, steadily, lines), 2);
	assert_non_null(strstr(lines[0], "from 150 MiB to 209 MiB in 60 s"));
	assert_int_equal(growth_after(60, with_falls, lines), 2);
	assert_int_equal(growth_after(60, slowly, lines), 0);
	assert_int_equal(growth_after(60, by_peaks, lines), 0);
	assert_int_equal(growth_after(60, once, lines), 0);
}

/* ---- two looks ---- */

/* The stopped process's page, as if it were written once more: @from of a section is @to, which is as long. */
static void write_again(int fd, const char *from, const char *to)
{
	char *at = strstr(seen.text + seen.section[0].offset, from);

	assert_string_equal(seen.section[0].name, "json");
	assert_non_null(at);
	for (size_t i = 0; to[i] != '\0'; i++)
		at[i] = to[i];
	assert_int_equal(pwrite(fd, to, strlen(to), at - seen.text), strlen(to));
	seen.header.updated_ns++;
	put_header(fd);
}

static void rates_are_of_one_program_and_end_with_it(void **state)
{
	static struct top_state top; /* none seen */
	pid_t pid = start(2);
	const struct seen_wanted wanted = { .pid = (uint32_t)pid };
	int fd;

	(void)state;
	await(pid, 2);
	kill(pid, SIGSTOP);
	await(pid, 2);
	fd = open(page_path(), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_false(top.has_before);
	write_again(fd, "\"tree_allocs\":2", "\"tree_allocs\":9");
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_true(top.has_before);
	write_again(fd, "\"tree_allocs\":9", "\"tree_allocs\":1"); /* it fell */
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_false(top.has_before);
	write_again(fd, "\"tree_allocs\":1", "\"tree_allocs\":2");
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_true(top.has_before);
	seen.header.process.image++; /* it became another program */
	write_again(fd, "\"tree_allocs\":2", "\"tree_allocs\":3");
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_false(top.has_before);
	write_again(fd, "\"tree_allocs\":3", "\"tree_allocs\":4");
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_true(top.has_before);
	end(pid);
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_false(top.has_before);
	close(fd);
}

/* However often somebody looks, and however seldom the process writes. */
static void times_are_times_and_not_looks(void **state)
{
	static struct top_state top;
	pid_t pid = start(2);
	const struct seen_wanted wanted = { .pid = (uint32_t)pid };
	struct timespec before, after;
	unsigned used_nr;
	double ago;
	int fd;

	(void)state;
	await(pid, 2);
	kill(pid, SIGSTOP);
	await(pid, 2);
	fd = open(page_path(), O_RDWR);
	assert_true(fd >= 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	seen.header.updated_ns = (uint64_t)(before.tv_sec - 100) * 1000000000;
	put_header(fd);
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_int_equal(top.used_nr, 1);
	write_again(fd, "\"given_back_bytes\":0", "\"given_back_bytes\":8");
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(top_look(&wanted, &top), 0);
	assert_u64_eq(top.given_back, 8);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ago = (double)(after.tv_sec - before.tv_sec) + 101;
	assert_true(top.given_back_ago >= 99 && top.given_back_ago <= ago);
	assert_true(top.used_nr <= 2 + (unsigned)(after.tv_sec - before.tv_sec));
	used_nr = top.used_nr;
	top.second -= 10; /* as if the last look were ten seconds ago */
	assert_int_equal(top_look(&wanted, &top), 0);
	assert_true(top.used_nr >= used_nr + 10);
	end(pid);
	close(fd);
	assert_int_equal(unlink(page_path()), 0);
}

static void top_prints_what_it_would_draw(void **state)
{
	pid_t pid = start(2);
	size_t offset;
	double used;

	(void)state;
	await(pid, 2);
	run("top --batch -n 2 --delay 0.3 %d", (int)pid);
	expect(0, "quire top - stats_test, process ");
	expect(0, "slow paths/s");
	expect(0, "areas      6.00 MiB");
	for (const char *line = answer.text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		assert_true(strcspn(line, "\n") <= 80);
	}
	run("top --json -n 1 %d", (int)pid);
	assert_true(json_is_right(answer.text, &offset));
	assert_true(json_number(answer.text, "used_bytes", &used) && used >= 2 * AREA_BYTES);
	end(pid);
	run("top --batch %d", (int)pid); /* ends by itself: nothing would change */
	expect(0, "HAS ENDED");
}

static void wrong_use_of_top_is_refused(void **state)
{
	(void)state;
	run("top --batch -n 0");
	expect(2, "'0' is no number of looks");
	run("top --delay soon");
	expect(2, "'soon' is no delay");
	run("top --btch");
	expect(2, "the nearest option is '--batch'");
	run("top --batch --instance 9");
	expect(2, "wrong use of");
	run("top --batch %d", (int)getpid());
	expect(1, "shows no figures");
	run("top --batch --json");
	expect(2, "one of --batch and --json");
	run("top 12x");
	expect(2, "'12x' is no process number");
}

static void wrong_use_is_refused_with_the_right_word(void **state)
{
	(void)state;
	run("stats --shape buddyinf");
	expect(2, "the nearest is 'buddyinfo'");
	run("stats --jsn");
	expect(2, "the nearest option is '--json'");
	run("stats --json --prometheus");
	expect(2, "one of --json");
	run("stats 12x");
	expect(2, "'12x' is no process number");
	run("stats 1 2");
	expect(2, "one process at a time");
	run("stats --instance 0");
	expect(2, "is no number of an instance");
	run("stats --instance 7");
	expect(1, "no process shows its figures");
	run("stats %d", (int)getpid());
	expect(1, "shows no figures");
}

/* Processes of other tests, and of whoever is at work here, show their pages in /dev/shm: they are not to be found where the
 * system lets it be hidden. */
static int set_up(void **state)
{
	(void)confine_hide("/dev/shm");
	return scratch_make_runtime(state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_use_is_refused_with_the_right_word),
		cmocka_unit_test(a_process_shows_what_it_holds),
		cmocka_unit_test(what_it_showed_stays_when_it_was_killed),
		cmocka_unit_test(a_file_is_made_late_and_goes_with_its_instance),
		cmocka_unit_test(without_the_option_there_is_no_file),
		cmocka_unit_test(without_a_number_it_is_the_one_with_the_most_memory),
		cmocka_unit_test(a_folder_that_others_may_write_to_is_not_used),
		cmocka_unit_test(a_torn_section_is_said_and_not_given_to_programs),
		cmocka_unit_test(a_page_of_a_later_version_is_read),
		cmocka_unit_test(a_page_that_is_being_made_is_not_there_yet),
		cmocka_unit_test(a_damaged_page_is_refused),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(counts_of_a_page_are_not_believed),
		cmocka_unit_test(texts_of_a_page_are_not_believed),
		cmocka_unit_test(one_that_nobody_waited_for_has_ended),
		cmocka_unit_test(a_page_of_another_namespace_is_not_taken_for_a_process_here),
		cmocka_unit_test(the_page_may_be_in_another_users_folder),
		cmocka_unit_test(a_folder_that_is_a_link_is_not_followed),
		cmocka_unit_test(the_dead_leave_sixteen_pages),
		cmocka_unit_test(every_form_is_printed),
		cmocka_unit_test(a_name_does_no_harm),
		cmocka_unit_test(a_finding_is_much_memory),
		cmocka_unit_test(a_finding_never_says_less_than_nothing),
		cmocka_unit_test(a_sentence_fits_the_narrowest_screen),
		cmocka_unit_test(only_what_does_not_fall_back_is_growth),
		cmocka_unit_test(rates_are_of_one_program_and_end_with_it),
		cmocka_unit_test(times_are_times_and_not_looks),
		cmocka_unit_test(top_prints_what_it_would_draw),
		cmocka_unit_test(wrong_use_of_top_is_refused),
		cmocka_unit_test(a_child_of_fork_shows_its_own),
	};

	if (argc != 2)
		return 2;
	quire_path = argv[1];
	return cmocka_run_group_tests_name("stats", tests, set_up, scratch_remove);
}
