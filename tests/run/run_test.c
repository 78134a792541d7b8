/* SPDX-License-Identifier: MIT */
/*
 * run_test QUIRE LIBRARY AGAIN PROGRAM OWN_MALLOC OWN_JEMALLOC [STATIC] - quire run, as its users meet it
 *
 * The command is copied beside AGAIN and LIBRARY: a stand-in whose figures are known (standin.c), or the library itself.
 */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/json_reader.h"
#include "scratch.h"
#include "shell.h"

static char quire[256], library[256], again[256], json[256], copy[256];
static const char *program, *own_malloc, *own_jemalloc, *static_program;

static int copy_file(const char *from, const char *to)
{
	char line[1024];

	snprintf(line, sizeof(line), "cp -L '%s' '%s'", from, to);
	return shell_status(line);
}

static char **test_arguments;

static int copy_command(void **state)
{
	if (scratch_make(state) != 0)
		return -1;
	snprintf(quire, sizeof(quire), "%s/quire", scratch);
	snprintf(library, sizeof(library), "%s/libquire-malloc.so.0", scratch);
	snprintf(again, sizeof(again), "%s/libquire-run.so", scratch);
	snprintf(json, sizeof(json), "%s/out.json", scratch);
	snprintf(copy, sizeof(copy), "%s/copy", scratch);
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1); /* whoever runs this can read these */
	unsetenv("LD_PRELOAD");
	unsetenv("QUIRE_CONF");
	return copy_file(test_arguments[1], quire) | copy_file(test_arguments[2], library) |
	       copy_file(test_arguments[3], again);
}

struct answer {
	int status;
	char out[8192], err[8192];
};

/* Runs a line of the shell, in which $Q is "quire run" and $P the program; streams apart. */
static struct answer shell(const char *line)
{
	static char command[4096];
	char out[512], err[512];
	struct answer answer;

	snprintf(out, sizeof(out), "%s/out", scratch);
	snprintf(err, sizeof(err), "%s/err", scratch);
	snprintf(command, sizeof(command),
		 "Q='%s run'; P='%s'; L='%s'; J='%s'; C='%s'; { %s; } >'%s' 2>'%s'", quire, program,
		 library, json, copy, line, out, err);
	answer.status = shell_status(command);
	shell_read(out, answer.out, sizeof(answer.out));
	shell_read(err, answer.err, sizeof(answer.err));
	return answer;
}

static void expect(const char *line, int status, const char *err)
{
	struct answer answer = shell(line);

	if (answer.status != status || strstr(answer.err, err) == NULL)
		fail_msg("%s: status %d, expected %d and \"%s\":\n%s", line, answer.status, status,
			 err, answer.err);
}

static void expect_out(const char *line, const char *out)
{
	struct answer answer = shell(line);

	if (answer.status != 0 || strcmp(answer.out, out) != 0)
		fail_msg("%s: status %d, wrote:\n%sexpected:\n%s%s", line, answer.status,
			 answer.out, out, answer.err);
}

static double number_at(const char *text, const char *path)
{
	double number = -1;

	if (!json_number(text, path, &number))
		fail_msg("no number at %s in %s", path, text);
	return number;
}

/* ---- statuses -------------------------------------------------------------------------------- */

static void the_status_is_the_programs(void **state)
{
	char line[64];

	(void)state;
	expect("$Q -- $P exit 0", 0, "quire: in use");
	expect("$Q $P exit 1", 1, "quire: in use");
	expect("$Q -- $P exit 2", 2, "quire: in use");
	expect("$Q -- $P exit 255", 255, "quire: in use");
	expect("$Q -- $P abort", 128 + SIGABRT, "quire: in use");
	for (int number = 1; number < 32; number++) {
		if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN ||
		    number == SIGTTOU || number == SIGCONT || number == SIGCHLD ||
		    number == SIGURG || number == SIGWINCH)
			continue;
		snprintf(line, sizeof(line), "ulimit -c 0; $Q -- $P raise %d", number);
		expect(line, 128 + number, "quire: in use");
	}
}

static void wrong_use_is_named_and_ends_with_2(void **state)
{
	(void)state;
	expect("$Q", 2, "name a program");
	expect("$Q --", 2, "name a program");
	expect("$Q --jsn x -- $P", 2, "wrong use of '--jsn'; the nearest option is '--json'");
	expect("$Q --json", 2, "'--json' needs a value");
	expect("$Q --exec --json x -- $P", 2, "--exec goes with neither --json nor --compare");
	expect("$Q --compare --children -- $P", 2, "--compare goes with neither");
	expect("$Q --svg x -- $P", 2, "--svg and --with go with --compare");
	expect("$Q --with x -- $P", 2, "--svg and --with go with --compare");
	expect("$Q --help", 0, "");
	expect("$Q -- ''", 127, "No such file");
	expect("$Q -- no-such-program", 127, "quire run: no-such-program: No such file");
	expect("$Q -- ./no-such-program", 127, "No such file");
	expect("$Q -- /", 126, "quire run: /: Permission denied");
	expect("echo x >$C; chmod 644 $C; $Q -- $C", 126, "Permission denied");
	expect("PATH=/nowhere:${C%/*}; $Q -- copy", 126, "Permission denied");
}

static void a_missing_library_is_named_with_its_places(void **state)
{
	char line[2048];

	(void)state;
	snprintf(line, sizeof(line),
		 "mkdir -p %s/alone/bin; cp %s %s/alone/bin; %s/alone/bin/quire run $P", scratch,
		 quire, scratch, scratch);
	expect(line, 2, "alone/bin/libquire-malloc.so.0 and ");
	snprintf(line, sizeof(line), "mkdir -p %s/half; cp %s %s %s/half; %s/half/quire run $P",
		 scratch, quire, library, scratch, scratch);
	expect(line, 2, "cannot find libquire-run.so: looked for it beside /");
	snprintf(line, sizeof(line), "mkdir -p '%s/a b'; cp %s %s '%s/a b'; '%s/a b/quire' run $P",
		 scratch, quire, library, scratch, scratch);
	expect(line, 2, "a space or a colon");
}

static void a_library_that_never_came_alive_is_125(void **state)
{
	char line[1024];

	(void)state;
	expect("STANDIN_STAYS_AWAY=1 $Q -- $P exit 3", 125,
	       "Quire did not start in it (its status was 3)");
	expect("$Q -- env STANDIN_STAYS_AWAY=1 $P touch 1", 125, "Quire did not start in it");
	expect("$Q -- env", 0, "quire: in use");
	expect("mkdir ${L%/*}/bad; cp ${L%/*}/quire ${L%/*}/libquire-run.so ${L%/*}/bad; echo x "
	       ">${L%/*}/bad/${L##*/}; "
	       "${L%/*}/bad/quire run -- $P exit 3",
	       125, "Quire did not start in it (its status was 3)");
	if (static_program != NULL) {
		snprintf(line, sizeof(line), "$Q -- sh -c 'exec %s touch 100'", static_program);
		expect(line, 0, "became another one, which ran without Quire");
	}
	expect("$Q --children -- sh -c \"exec $P touch 1\"", 0, "quire: 1,000 calls");
	expect("$Q -- env no-such-program", 127, "quire: in use");
	expect("STANDIN_STAYS_AWAY=1 $Q --compare -- $P exit 0", 125, "Quire did not start in it");
}

/* With the library itself: a megabyte is seen, whatever else the program does. */
static void a_program_is_counted(void **state)
{
	struct answer answer = shell("$Q --json $J -- $P touch 5; cat $J");
	size_t offset;

	(void)state;
	if (!json_is_right(answer.out, &offset))
		fail_msg("not JSON at byte %zu: %s", offset, answer.out);
	assert_true(number_at(answer.out, "in_use_bytes.peak") >= 5 << 20);
	assert_true(number_at(answer.out, "in_use_bytes.peak") < 6 << 20);
	assert_true(number_at(answer.out, "calls") >= 1);
	assert_true(number_at(answer.out, "slow_calls") >= 1);
	answer = shell("$Q --children --json $J -- $P children 40; cat $J");
	assert_true(number_at(answer.out, "status") == 0);
	assert_true(number_at(answer.out, "processes") == 41);
}

/* ---- exec ------------------------------------------------------------------------------------ */

/* With the library itself: the program touches 5 MiB, whatever the process was before. */
static void expect_counted(const char *how)
{
	static char line[2048];
	struct answer answer;
	double peak;

	snprintf(line, sizeof(line), "%s; cat $J", how);
	answer = shell(line);
	if (answer.status != 0 || strstr(answer.err, "without Quire") != NULL)
		fail_msg("%s: status %d: %s", how, answer.status, answer.err);
	peak = number_at(answer.out, "in_use_bytes.peak");
	if (peak < 5 << 20 || peak >= 6 << 20)
		fail_msg("%s: %.0f bytes in use", how, peak);
	assert_true(number_at(answer.out, "processes") == 1);
}

static const char *const calls[] = { "execl",  "execle",  "execlp",  "execv",	"execve",
				     "execvp", "execvpe", "fexecve", "execveat" };

static void what_the_program_becomes_by_exec_is_counted(void **state)
{
	static const char *const shells[] = { "dash", "bash", "busybox sh", "zsh", "ksh" };
	char line[512];
	unsigned shells_nr = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(line, sizeof(line), "$Q --json $J -- $P become %s touch 5", calls[i]);
		expect_counted(line);
	}
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		snprintf(line, sizeof(line), "%s -c : 2>/dev/null && $Q -- %s -c :", shells[i],
			 shells[i]);
		if (shell(line).status != 0) /* not here, or static */
			continue;
		snprintf(line, sizeof(line), "$Q --json $J -- %s -c 'exec \"$0\" touch 5' $P",
			 shells[i]);
		expect_counted(line);
		snprintf(line, sizeof(line),
			 "printf '#!/usr/bin/env %%s\\nA=1 exec \"$P\" \"$@\"\\n' '%s' | "
			 "sed 's/env busybox/env -S busybox/' >$C; chmod 755 $C; export P; "
			 "$Q --json $J -- $C touch 5",
			 shells[i]);
		expect_counted(line);
		shells_nr++;
	}
	assert_true(shells_nr != 0);
	expect_counted("$Q --json $J -- env A=1 $P touch 5");
	expect_counted("$Q --json $J -- nice env -u A nohup $P touch 5");
	/* A shim: a script that becomes a script that becomes the program, with children on the way. */
	expect_counted("printf '#!/bin/sh\\nP=$(echo \"$P\")\\nexec env sh -c \"exec $P touch "
		       "5\"\\n' >$C; "
		       "export P; $Q --json $J -- sh -c \"ls / >/dev/null; exec $C\"");
	expect_counted("$Q --json $J -- sh -c \"exec /nowhere\" || "
		       "$Q --json $J -- sh -c \"( exec /nowhere ) 2>/dev/null; exec $P touch 5\"");
}

/* As redis, PostgreSQL and all do that show a title, and what they become does it again. */
static void what_overwrites_its_environment_stays_on_quire(void **state)
{
	struct answer answer;

	(void)state;
	expect_counted("$Q --json $J -- $P entitle execv touch 5");
	answer = shell("$Q --json $J --conf decay:50 -- "
		       "$P entitle execve entitle execvp surroundings");
	assert_int_equal(answer.status, 0);
	assert_non_null(strstr(answer.out, "QUIRE_CONF=(none)\nQUIRE_RUN=(none)\n"
					   "QUIRE_RUN_EXEC=(none)\nmapped: yes\n"));
	if (strstr(answer.err, "ld.so") != NULL || strstr(answer.err, "without Quire") != NULL)
		fail_msg("%s", answer.err);
}

/* No call has been looked up, and the environment is still what the command made. */
static void an_exec_before_all_constructors_stays_on_quire(void **state)
{
	char line[512];

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(line, sizeof(line), "$Q --json $J -- $P early %s touch 5", calls[i]);
		expect_counted(line);
	}
}

/* What has the libraries again takes them out again, and children have never had them. */
static void exec_leaves_no_trace_in_the_environment(void **state)
{
	static const char none[] = "LD_PRELOAD=(none)\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n"
				   "QUIRE_RUN_EXEC=(none)\nmapped: no\n";
	static const char own[] = "LD_PRELOAD=(none)\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n"
				  "QUIRE_RUN_EXEC=(none)\nmapped: yes\n";
	char both[512];

	(void)state;
	expect_out("$Q -- $P surroundings", own);
	expect_out("$Q -- $P become execve surroundings", own);
	expect_out("$Q --exec -- $P become execvp surroundings", own);
	expect_out("$Q -- $P fork surroundings", none);
	expect_out("$Q -- $P vfork surroundings", none);
	expect_out("$Q -- $P spawn surroundings", none);
	expect_out("$Q -- $P become execv vfork surroundings", none);
	snprintf(both, sizeof(both), "%s%s", none, own);
	expect_out("$Q -- sh -c \"$P surroundings; exec $P surroundings\"", both);
	expect_out("$Q -- bash -c \"$P surroundings; exec $P surroundings\"", both);
	expect_out("QUIRE_CONF=thp:off LD_PRELOAD=libm.so.6 $Q --conf decay:50 -- "
		   "sh -c \"exec $P surroundings\"",
		   "LD_PRELOAD=libm.so.6\nQUIRE_CONF=thp:off\nQUIRE_RUN=(none)\n"
		   "QUIRE_RUN_EXEC=(none)\nmapped: yes\n");
	expect_out("$Q --conf decay:50 -- env QUIRE_CONF=thp:on $P surroundings",
		   "LD_PRELOAD=(none)\nQUIRE_CONF=thp:on\nQUIRE_RUN=(none)\n"
		   "QUIRE_RUN_EXEC=(none)\nmapped: yes\n");
	expect_out("$Q -- env -i $P surroundings", own);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void refuse(const char *path, int status, const char *err)
{
	char line[1024];

	snprintf(line, sizeof(line), "$Q -- %s", path);
	expect(line, status, err);
}

static void an_installed_library_is_found(void **state)
{
	char line[2048];

	(void)state;
	snprintf(line, sizeof(line),
		 "mkdir -p %s/there/bin %s/there/" QUIRE_LIBDIR
		 "; cp %s %s/there/bin; cp %s %s %s/there/" QUIRE_LIBDIR
		 "; PATH=%s/there/bin:$PATH; quire run $P exit 3",
		 scratch, scratch, quire, scratch, library, again, scratch, scratch);
	expect(line, 3, "quire: in use");
}

static void programs_that_would_not_run_on_quire_are_refused(void **state)
{
	(void)state;
	refuse(own_malloc, 2, "has a malloc of its own (malloc)");
	refuse(own_jemalloc, 2, "has a malloc of its own (je_malloc)");
	if (static_program != NULL)
		refuse(static_program, 2, "statically linked");
	expect("printf '#!%s\\n' $C.none >$C; chmod 755 $C; $Q -- $C", 127, "its interpreter");
	expect("echo echo hello >$C; $Q -- $C", 2, "neither an ELF program nor a script");
	expect(": >$C; $Q -- $C", 2, "neither an ELF program nor a script");
	expect("printf '#!\\n' >$C; $Q -- $C", 2, "a script without an interpreter");
	expect("printf '#!/usr/bin/env no-such-program\\n' >$C; $Q -- $C", 127, "no-such-program");
}

static void a_script_is_what_its_interpreter_is(void **state)
{
	char line[1024];

	(void)state;
	snprintf(line, sizeof(line), "printf '#!%s\\n' >$C; chmod 755 $C; $Q -- $C", own_malloc);
	expect(line, 2, "has a malloc of its own");
	snprintf(line, sizeof(line), "printf '#!/usr/bin/env -S A=1 %s x\\n' >$C; $Q -- $C",
		 own_malloc);
	expect(line, 2, "has a malloc of its own");
	expect("printf '#!/bin/sh\\nexit 7\\n' >$C; $Q -- $C", 7, "quire: in use");
	expect("printf '#!/usr/bin/env sh\\nexit 8\\n' >$C; $Q -- $C", 8, "quire: in use");
	expect("printf '#!%s\\n' $C >$C; $Q -- $C", 126, "Too many levels");
}

/* As root: somebody else's.  Others cannot make such a file. */
static void set_id_programs_are_refused(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip_because("only root can make another user's programs");
	assert_int_equal(copy_file(program, copy), 0);
	assert_int_equal(chmod(copy, 04755), 0);
	expect("$Q -- $C exit 4", 4, "quire: in use"); /* one's own */
	assert_int_equal(chown(copy, 65534, 65534), 0);
	assert_int_equal(chmod(copy, 04755), 0);
	expect("$Q -- $C exit 4", 2, "a set-user-ID program");
	assert_int_equal(chmod(copy, 02755), 0);
	expect("$Q -- $C exit 4", 2, "a set-group-ID program");
	assert_int_equal(chmod(copy, 0755), 0);
	expect("$Q -- $C exit 4", 4, "quire: in use");
}

/* ---- corrupt files --------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/* --exec would run what is accepted; what is looked at here is only that the command decides by itself. */
static void expect_decision(const char *what)
{
	char *arguments[] = { quire, (char *)"run", copy, (char *)"exit", (char *)"0", NULL };
	pid_t child = fork();
	int status;

	if (child == 0) {
		int null_fd = open("/dev/null", O_RDWR);

		dup2(null_fd, STDOUT_FILENO);
		dup2(null_fd, STDERR_FILENO);
		execv(quire, arguments);
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 99)
		fail_msg("%s: wait status %d", what, status);
}

static void corrupt_programs_never_crash_the_command(void **state)
{
	uint64_t rounds = env_u64("QUIRE_RUN_CORRUPT", 150);
	char *bytes = malloc(1 << 20);
	int fd = open(program, O_RDONLY);
	ssize_t nr;

	(void)state;
	assert_non_null(bytes);
	nr = read(fd, bytes, 1 << 20);
	close(fd);
	assert_true(nr > 4096);
	for (uint64_t round = 0; round < rounds; round++) {
		/* Cut in the headers, cut anywhere, or with some bytes changed: mostly in the headers. */
		size_t left = round % 3 == 0   ? random_below(1024)
			      : round % 3 == 1 ? random_below((uint64_t)nr)
					       : (size_t)nr;
		char *changed = malloc(left + 1);
		char name[64];

		memcpy(changed, bytes, left);
		for (unsigned i = 0; round % 3 != 0 && i < 1 + round % 8 && left > 0; i++)
			changed[random_below(i % 2 == 0 && left > 900 ? 900 : left)] =
				(char)random_below(256);
		unlink(copy);
		fd = open(copy, O_CREAT | O_WRONLY, 0755);
		assert_int_equal(write(fd, changed, left), left);
		close(fd);
		free(changed);
		snprintf(name, sizeof(name), "round %llu", (unsigned long long)round);
		expect_decision(name);
	}
	free(bytes);
	unlink(copy);
}

/* ---- figures --------------------------------------------------------------------------------- */

static void the_figures_are_those_of_the_library(void **state)
{
	struct answer answer = shell("$Q --json $J -- $P exit 5; cat $J; exit 5");
	size_t offset;

	(void)state;
	assert_int_equal(answer.status, 5);
	if (!json_is_right(answer.out, &offset))
		fail_msg("not JSON at byte %zu: %s", offset, answer.out);
	assert_true(number_at(answer.out, "status") == 5);
	assert_true(number_at(answer.out, "calls") == 1000);
	assert_true(number_at(answer.out, "slow_calls") == 100);
	assert_true(number_at(answer.out, "given_back_bytes") == 12345678);
	assert_true(number_at(answer.out, "in_use_bytes.end") == 6400);
	assert_true(number_at(answer.out, "in_use_bytes.peak") >= 3 << 20);
	assert_true(number_at(answer.out, "in_use_bytes.peak") <= (3 << 20) + 64000);
	assert_true(number_at(answer.out, "sizes_at_peak.0.bytes") == 64);
	assert_true(number_at(answer.out, "sizes_at_peak.1.bytes") == 2 << 20);
	assert_true(number_at(answer.out, "processes") == 1);
	assert_non_null(strstr(answer.err,
			       "quire: 1,000 calls, of which 10.00 % left the fast path; "
			       "11.8 MiB given back\n"));
	assert_non_null(strstr(answer.err, "quire: most at the peak was in blocks of 2 MiB to 4 "
					   "MiB (98 %), 64 bytes (2 %)\n"));
	assert_non_null(strstr(answer.err, ", 6.25 KiB at the end\n"));
}

static void killed_programs_are_reported_too(void **state)
{
	(void)state;
	expect("$Q -- $P raise 9", 137, "quire: 1,000 calls");
	expect("$Q -- $P close", 0, "quire: 1,000 calls");
}

static void resident_memory_is_that_of_the_program(void **state)
{
	struct answer answer = shell("$Q --json $J -- $P touch 64; cat $J");
	double peak = number_at(answer.out, "resident_bytes.peak");

	(void)state;
	skip_if_sanitized();
	assert_true(peak > 64 << 20 && peak < 72 << 20);
	assert_true(number_at(answer.out, "resident_bytes.end") > 60 << 20);
	answer = shell("$Q --json $J -- $P exit 0; cat $J");
	assert_true(number_at(answer.out, "resident_bytes.peak") < 8 << 20);
}

static void unwritten_figures_are_3(void **state)
{
	(void)state;
	expect("$Q --json /nowhere/x -- $P exit 0", 3, "quire run: /nowhere/x: No such file");
	expect("$Q --json /nowhere/x -- $P exit 6", 6, "quire run: /nowhere/x: No such file");
}

static void children_are_added_up_if_asked(void **state)
{
	struct answer answer = shell("$Q --children --json $J -- sh -c \"$P exit 0; $P exit 0; $P "
				     "exit 9\"; cat $J");
	double processes = number_at(answer.out, "processes");

	(void)state;
	assert_true(processes >= 3 && processes <= 4); /* the shell may become the last */
	assert_true(number_at(answer.out, "calls") == 1000 * processes);
	assert_true(number_at(answer.out, "status") == 9);
	answer = shell("$Q --json $J -- sh -c \"$P exit 0; $P exit 0; exit 0\"; cat $J");
	assert_true(number_at(answer.out, "processes") == 1);
	assert_true(number_at(answer.out, "calls") == 1000);
}

/* Few addresses, no file that may be long, no descriptor above the standard streams and a handful. */
static void narrow_limits_are_enough(void **state)
{
	(void)state;
	expect("ulimit -v 40000; $Q -- $P exit 3", 3, "quire: 1,000 calls");
	expect("ulimit -n 8; $Q -- $P exit 3", 3, "quire: 1,000 calls");
	expect("(ulimit -f 0; $Q -- $P exit 3) 2>&1 | cat >&2", 0,
	       "quire run: cannot share memory: File too large");
}

/* More, one after the other, than there are parts. */
static void parts_are_used_again(void **state)
{
	struct answer answer = shell("$Q --children --json $J -- $P children 600; cat $J");

	(void)state;
	assert_true(number_at(answer.out, "status") == 0);
	assert_true(number_at(answer.out, "processes") +
			    number_at(answer.out, "uncounted_processes") ==
		    601);
	assert_true(number_at(answer.out, "processes") > 300);
}

/* ---- the program's surroundings -------------------------------------------------------------- */

static void the_environment_is_as_before(void **state)
{
	char line[1024];

	(void)state;
	expect_out("$Q -- $P environment",
		   "LD_PRELOAD=(none)\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n");
	expect_out("QUIRE_CONF=thp:off $Q --conf decay:50 -- $P environment",
		   "LD_PRELOAD=(none)\nQUIRE_CONF=thp:off\nQUIRE_RUN=(none)\n");
	expect_out("$Q --conf decay:50 -- $P environment",
		   "LD_PRELOAD=(none)\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n");
	expect_out("$Q --exec -- $P environment",
		   "LD_PRELOAD=(none)\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n");
	expect_out("LD_PRELOAD=libc.so.6 $Q -- $P environment",
		   "LD_PRELOAD=libc.so.6\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n");
	expect_out("$Q -- env $P environment",
		   "LD_PRELOAD=(none)\nQUIRE_CONF=(none)\nQUIRE_RUN=(none)\n");
	snprintf(line, sizeof(line), "LD_PRELOAD=%s\nQUIRE_CONF=decay:50\nQUIRE_RUN=(none)\n",
		 library);
	expect_out("$Q --exec --children --conf decay:50 -- $P environment", line);
}

static void descriptors_and_streams_are_the_programs_own(void **state)
{
	(void)state;
	expect("$P descriptors; A=$?; $Q -- $P descriptors; test $? = $A", 0, "quire: in use");
	expect("$P descriptors; A=$?; $Q --exec -- $P descriptors; test $? = $A", 0, "");
	expect_out("echo hello | $Q -- cat", "hello\n");
	expect_out("$Q -- echo hello", "hello\n");
	expect_out("$Q -- $P signals", "\n");
	expect_out("$Q --exec -- $P signals", "\n");
	expect_out("trap '' USR1; $Q -- $P signals", "10 \n");
}

static void a_closed_stream_is_closed_for_the_program_and_no_file_has_its_number(void **state)
{
	(void)state;
	expect_out("$Q -- sh -c 'readlink /proc/$PPID/fd/2; test -e /proc/$$/fd/2 || echo closed' "
		   "2>&-",
		   "/dev/null\nclosed\n");
}

/* ---- signals --------------------------------------------------------------------------------- */

static void wait_for_text(int fd, const char *text)
{
	char got[4096] = "";
	size_t nr = 0;
	uint64_t end_ns = await_begin();

	while (strstr(got, text) == NULL && await_more(end_ns)) {
		struct pollfd one = { .fd = fd, .events = POLLIN };

		if (poll(&one, 1, 100) > 0 && nr < sizeof(got) - 1) {
			ssize_t some = read(fd, got + nr, sizeof(got) - 1 - nr);

			nr += some > 0 ? (size_t)some : 0;
			got[nr] = '\0';
		}
	}
	if (strstr(got, text) == NULL)
		fail_msg("\"%s\" never came: \"%s\"", text, got);
}

static pid_t start_counter(int number, int *out)
{
	char text[16];
	char *arguments[] = { quire,	       (char *)"run", (char *)"--", (char *)program,
			      (char *)"count", text,	      NULL };
	int ends[2];
	pid_t pid;

	snprintf(text, sizeof(text), "%d", number);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		execv(quire, arguments);
		_exit(99);
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

static void signals_are_passed_on_once(void **state)
{
	int numbers[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGRTMIN + 3
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		int out, status;
		pid_t pid = start_counter(numbers[i], &out);

		wait_for_text(out, "ready");
		assert_int_equal(kill(pid, numbers[i]), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 11);
		close(out);
	}
}

/* What a shell does, in a session of its own on a new terminal: a job in the foreground. */
static _Noreturn void be_shell(const char *terminal_name, int report_fd)
{
	char number[16];
	char *arguments[] = { quire,	       (char *)"run", (char *)"--", (char *)program,
			      (char *)"count", number,	      NULL };
	int terminal, status = 0;
	unsigned stops_nr = 0;
	pid_t job;

	setsid();
	terminal = open(terminal_name, O_RDWR);
	ioctl(terminal, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	snprintf(number, sizeof(number), "%d", SIGINT);
	job = fork();
	if (job == 0) {
		setpgid(0, 0);
		tcsetpgrp(terminal, getpid());
		signal(SIGTTOU, SIG_DFL);
		dup2(terminal, STDIN_FILENO);
		dup2(terminal, STDOUT_FILENO);
		dup2(terminal, STDERR_FILENO);
		execv(quire, arguments);
		_exit(99);
	}
	while (waitpid(job, &status, WUNTRACED) == job) {
		(void)!write(report_fd, &status, sizeof(status));
		if (!WIFSTOPPED(status))
			_exit(0);
		tcsetpgrp(terminal, job);
		kill(-job, SIGCONT);
		if (stops_nr++ == 0)
			kill(job, SIGTSTP);
	}
	_exit(1);
}

static int read_status(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	int status = -1;

	if (poll(&one, 1, 20000) > 0)
		(void)!read(fd, &status, sizeof(status));
	return status;
}

/* ^Z stops the job as a whole and fg continues it; so does a signal that only the command got.  ^C reaches the
 * program once. */
static void the_terminal_controls_the_job(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		be_shell(ptsname(master), ends[1]);
	close(ends[1]);
	wait_for_text(master, "ready");
	assert_int_equal(write(master, "\x1a", 1), 1);
	status = read_status(ends[0]);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(WSTOPSIG(status), SIGTSTP);
	status = read_status(ends[0]);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(write(master, "\x03", 1), 1);
	status = read_status(ends[0]);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 11);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ends[0]);
	close(master);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void a_comparison_prints_both(void **state)
{
	struct answer answer = shell("$Q --compare --svg $C.svg -- $P touch 40; cat $C.svg >&2");

	(void)state;
	assert_int_equal(answer.status, 0);
	assert_non_null(strstr(answer.out, "touch 40: resident memory\n"));
	assert_non_null(strstr(answer.out, "\nglibc  "));
	assert_non_null(strstr(answer.out, "\nQuire  "));
	assert_non_null(strstr(answer.out, "o glibc   # Quire   * both\n"));
	assert_non_null(strstr(answer.err, "<svg "));
	assert_non_null(strstr(answer.err, "</svg>\n"));
	for (char *line = strtok(answer.out, "\n"); line != NULL; line = strtok(NULL, "\n"))
		assert_true(strlen(line) < 80 || strstr(line, "resident memory") != NULL);
	answer = shell("LD_PRELOAD=libm.so.6 $Q --compare -- $P exit 0");
	assert_non_null(strstr(answer.out, "\nm    "));
	expect("$Q --compare -- $P exit 3", 3, "its status was 3 without Quire");
}

/* libm.so.6 stands for an allocator; what the loader would not preload is never run with. */
static void a_comparison_with_other_libraries_prints_those_that_load(void **state)
{
	struct answer answer = shell("$Q --compare --with libm.so.6 --with libno-such.so.1 "
				     "--svg $C.svg -- $P touch 40; cat $C.svg >&2");

	(void)state;
	assert_int_equal(answer.status, 0);
	assert_non_null(strstr(
		answer.err, "quire run: libno-such.so.1 cannot be preloaded, and is left out\n"));
	assert_null(strstr(answer.err, "ld.so"));
	assert_non_null(strstr(answer.out, "\nglibc  "));
	assert_non_null(strstr(answer.out, "\nQuire  "));
	assert_non_null(strstr(answer.out, "\nm    "));
	assert_null(strstr(answer.out, "no-such"));
	assert_non_null(strstr(answer.out, "o glibc   # Quire   + m   * several\n"));
	assert_non_null(strstr(answer.err, "class=\"name s2\">m: "));
	answer = shell("$Q --compare --with libm.so.6 -- $P environment");
	assert_non_null(strstr(answer.out, "LD_PRELOAD=libm.so.6\n"));
	expect("$Q --compare --with libm.so.6:x -- $P exit 0", 2,
	       "takes one library, not 'libm.so.6:x'");
	expect("$Q --compare --with a --with b --with c --with d "
	       "--with e "
	       "-- $P exit 0",
	       2, "takes at most 4 libraries");
}

/* Signals that whoever runs this test ignores, as nohup does, would be ignored in the programs. */
static void take_signals_back(void)
{
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			signal(number, SIG_DFL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_status_is_the_programs),
		cmocka_unit_test(wrong_use_is_named_and_ends_with_2),
		cmocka_unit_test(a_missing_library_is_named_with_its_places),
		cmocka_unit_test(an_installed_library_is_found),
		cmocka_unit_test(programs_that_would_not_run_on_quire_are_refused),
		cmocka_unit_test(a_script_is_what_its_interpreter_is),
		cmocka_unit_test(set_id_programs_are_refused),
		cmocka_unit_test(corrupt_programs_never_crash_the_command),
		cmocka_unit_test(resident_memory_is_that_of_the_program),
		cmocka_unit_test(unwritten_figures_are_3),
		cmocka_unit_test(the_environment_is_as_before),
		cmocka_unit_test(descriptors_and_streams_are_the_programs_own),
		cmocka_unit_test(
			a_closed_stream_is_closed_for_the_program_and_no_file_has_its_number),
		cmocka_unit_test(signals_are_passed_on_once),
		cmocka_unit_test(the_terminal_controls_the_job),
		cmocka_unit_test(a_comparison_prints_both),
		cmocka_unit_test(a_comparison_with_other_libraries_prints_those_that_load),
	};
	const struct CMUnitTest standin_tests[] = {
		cmocka_unit_test(a_library_that_never_came_alive_is_125),
		cmocka_unit_test(the_figures_are_those_of_the_library),
		cmocka_unit_test(killed_programs_are_reported_too),
		cmocka_unit_test(children_are_added_up_if_asked),
		cmocka_unit_test(narrow_limits_are_enough),
		cmocka_unit_test(parts_are_used_again),
	};
	const struct CMUnitTest library_tests[] = {
		cmocka_unit_test(a_program_is_counted),
		cmocka_unit_test(what_the_program_becomes_by_exec_is_counted),
		cmocka_unit_test(what_overwrites_its_environment_stays_on_quire),
		cmocka_unit_test(an_exec_before_all_constructors_stays_on_quire),
		cmocka_unit_test(exec_leaves_no_trace_in_the_environment),
	};
	int failed;

	if (argc < 7)
		return 2;
	take_signals_back();
	test_arguments = argv;
	program = argv[4];
	own_malloc = argv[5];
	own_jemalloc = argv[6];
	static_program = argc > 7 ? argv[7] : NULL;
	failed = cmocka_run_group_tests_name("run", tests, copy_command, scratch_remove);
	if (strstr(argv[2], "standin") != NULL)
		failed += cmocka_run_group_tests_name("standin", standin_tests, copy_command,
						      scratch_remove);
	else
		failed += cmocka_run_group_tests_name("library", library_tests, copy_command,
						      scratch_remove);
	return failed;
}
