/* SPDX-License-Identifier: MIT */
/*
 * Each misuse is a tiny program beside this one, linked with the shared library as a user's is.
 * It must write one line, exactly the one of the table, and abort.
 */
#include "quire_test.h"

#include <errno.h>
#include <fnmatch.h>
#include <libgen.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What every line has behind the rule; the address and the CPU are a run's own. */
#define AT(function, detail) ": address 0x* (" detail ") in " function ", CPU +([0-9])\n"
#define FREE		     "quire_free_pages"

static const struct {
	const char *program;
	const char *rule; /* with the rest of the line */
} misuses[] = {
	{ "double_free", "double free" AT(FREE, "0") },
	{ "double_free_interleaved", "double free" AT(FREE, "0") },
	{ "double_free_merged", "double free" AT(FREE, "0") },
	{ "double_free_released", "double free" AT(FREE, "0") },
	{ "double_free_offline", "double free" AT(FREE, "9") },
	{ "double_free_large", "double free" AT(FREE, "10") },
	{ "double_free_bulk", "double free" AT("quire_free_pages_bulk", "0") },
	{ "free_middle", "the middle of a block" AT(FREE, "0") },
	{ "free_middle_of_order", "the middle of a block" AT(FREE, "1") },
	{ "free_stack", "foreign pointer" AT(FREE, "0") },
	{ "free_near_null", "foreign pointer" AT(FREE, "0") },
	{ "free_past_end", "foreign pointer" AT(FREE, "0") },
	{ "free_other_instance", "foreign pointer" AT(FREE, "0") },
	{ "free_never_allocated", "never allocated" AT(FREE, "0") },
	{ "free_unaligned", "not the start of a page" AT(FREE, "0") },
	{ "order_too_small", "wrong order" AT(FREE, "2") },
	{ "order_too_large", "wrong order" AT(FREE, "4") },
	{ "order_beyond", "wrong order" AT(FREE, "11") },
	{ "split_free", "double free" AT("quire_split_pages", "3") },
	{ "split_then_block", "wrong order" AT(FREE, "3") },
	{ "percpu_double_free", "double free" AT("quire_free_percpu", "0") },
	{ "percpu_double_free_cached", "double free" AT("quire_free_percpu", "0") },
	{ "percpu_double_free_four", "double free" AT("quire_free_percpu", "0") },
	{ "percpu_free_middle", "the middle of an object" AT("quire_free_percpu", "0") },
	{ "percpu_free_unaligned", "not the start of an object" AT("quire_free_percpu", "0") },
	{ "percpu_free_other_copy", "not CPU 0's copy" AT("quire_free_percpu", "0") },
	{ "percpu_free_stack", "foreign pointer" AT("quire_free_percpu", "0") },
};

static char directory[1024];

static _Noreturn void program_run(const char *program, const char *conf, int output_fd)
{
	const struct rlimit no_core = { 0, 0 };
	char path[2048];

	snprintf(path, sizeof(path), "%s/%s", directory, program);
	setrlimit(RLIMIT_CORE, &no_core);
	setenv("QUIRE_CONF", conf, 1);
	dup2(output_fd, STDERR_FILENO);
	execl(path, program, (char *)NULL);
	_exit(127);
}

static void read_output(int fd, char *output, size_t bytes)
{
	size_t done = 0;
	ssize_t got;

	while (done < bytes - 1 && (got = read(fd, output + done, bytes - 1 - done)) > 0)
		done += (size_t)got;
	output[done] = '\0';
}

static void check_misuse(const char *program, const char *rule, const char *conf)
{
	char expected[256], output[1024];
	int ends[2], status = 0;
	pid_t child;

	snprintf(expected, sizeof(expected), "quire: misuse: %s", rule);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		program_run(program, conf, ends[1]);
	close(ends[1]);
	read_output(ends[0], output, sizeof(output));
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("%s (%s) ended with %#x instead of an abort; it wrote: %s", program, conf,
			 (unsigned)status, output);
	if (fnmatch(expected, output, FNM_EXTMATCH) != 0)
		fail_msg("%s (%s) wrote: %sexpected: %s", program, conf, output, expected);
}

static void check_all(const char *conf)
{
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++)
		check_misuse(misuses[i].program, misuses[i].rule, conf);
}

static void each_misuse_ends_with_its_line(void **state)
{
	(void)state;
	check_all("limit:64m");
}

static void each_does_without_sequences_too(void **state)
{
	(void)state;
	check_all("limit:64m,rseq:off,worker:off");
}

static void each_does_with_two_zones_too(void **state)
{
	(void)state;
	check_all("limit:64m,zones:2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
		cmocka_unit_test(each_does_with_two_zones_too),
	};
	char self[1024];
	ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (bytes <= 0)
		return 1;
	self[bytes] = '\0';
	snprintf(directory, sizeof(directory), "%s", dirname(self));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
