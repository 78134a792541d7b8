/* SPDX-License-Identifier: MIT */
/*
 * misuse_case.h - running a program that misuses the library
 *
 * Each misuse is a tiny program beside this one, linked with the shared library as a user's is.
 * It must write one line, exactly the one of the table, and abort.
 */
#ifndef MISUSE_CASE_H
#define MISUSE_CASE_H

#include "quire_test.h"

#include <errno.h>
#include <fnmatch.h>
#include <libgen.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What every line has behind the rule; the address and the CPU are a run's own.  @number is what some
 * rules say of the call: "order 3". */
#define AT(function) ": address 0x+([0-9a-f]) in " function ", CPU +([0-9])\n"
#define AT_WITH(function, number)                                                                  \
	": address 0x+([0-9a-f]) (" number ") in " function ", CPU +([0-9])\n"
/* An object of @size bytes, and where its slab is. */
#define IN_SLAB(function, size) AT_WITH(function, "size " size ", slab 0x+([0-9a-f])")

#ifndef MISUSE_CONF
#define MISUSE_CONF "limit:64m"
#endif

struct misuse {
	const char *program;
	const char *rule; /* with the rest of the line; FAULTS: it writes nothing, and faults */
};
#define FAULTS NULL

static char directory[1024];
static const struct misuse *table;
static size_t table_nr;
static const char *also = ""; /* added to each configuration */

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
	/* A fault is explained where somebody looks, and then it ends the program. */
	bool faults = rule == FAULTS || strstr(rule, "allocated at+(") != NULL;
	char expected[512] = "", output[4096];
	int ends[2], status = 0, signal = faults ? SIGSEGV : SIGABRT;
	pid_t child;

	if (rule != FAULTS)
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
	if (!WIFSIGNALED(status) || WTERMSIG(status) != signal)
		fail_msg("%s (%s) ended with %#x instead of signal %d; it wrote: %s", program, conf,
			 (unsigned)status, signal, output);
	if (fnmatch(expected, output, FNM_EXTMATCH) != 0)
		fail_msg("%s (%s) wrote: %sexpected: %s", program, conf, output, expected);
}

static void check_all(const char *limits)
{
	char conf[128];

	snprintf(conf, sizeof(conf), "%s%s", limits, also);
	for (size_t i = 0; i < table_nr; i++)
		check_misuse(table[i].program, table[i].rule, conf);
}

static void each_misuse_ends_with_its_line(void **state)
{
	(void)state;
	check_all(MISUSE_CONF);
}

static void each_does_without_sequences_too(void **state)
{
	(void)state;
	check_all(MISUSE_CONF ",rseq:off,worker:off");
}

/* The program has a row: one without would be built and never run. */
static bool is_in_table(const char *program)
{
	for (size_t i = 0; i < table_nr; i++) {
		if (strcmp(table[i].program, program) == 0)
			return true;
	}
	fprintf(stderr, "%s has no row in the table\n", program);
	return false;
}

/*
 * Learns where the programs are (beside this one), and that those named in @names are the table's.
 * Returns main()'s answer if they are not.
 */
static int misuse_begin(const struct misuse *misuses, size_t nr, char *const *names, int names_nr)
{
	char self[1024];
	ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (bytes <= 0)
		return 1;
	self[bytes] = '\0';
	snprintf(directory, sizeof(directory), "%s", dirname(self));
	table = misuses;
	table_nr = nr;
	for (int i = 0; i < names_nr; i++) {
		if (!is_in_table(names[i]))
			return 1;
	}
	if (names_nr != 0 && (size_t)names_nr != nr) {
		fprintf(stderr, "%d programs were built, %zu are in the table\n", names_nr, nr);
		return 1;
	}
	return 0;
}

/* main() of a table whose programs need nothing but their lines. */
static inline int misuse_main(const struct misuse *misuses, size_t nr, char *const *names,
			      int names_nr)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
	};

	if (misuse_begin(misuses, nr, names, names_nr) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
