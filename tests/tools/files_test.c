/* SPDX-License-Identifier: MIT */
/*
 * files_test QUIRE - the built command with files of every kind, and with too little of something
 *
 * Devices, pipes, links, full disks, limits: what is written is whole or as it was, and what is not
 * written is said.  Each run replays a made-up recording of a few hundred steps, within seconds.
 */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zstd.h>

#include "machine/linux/sanitizer.h"
#include "common/progress.h"
#include "scratch.h"
#include "shell.h"
#include "trace_writer.h"

static const char *quire_path;

/* Half a minute is an answer, too: nothing here may wait for ever. */
#define SHELL "set -u; cd '%s'; Q='timeout 30 %s'; { %s\n} </dev/null"

static void expect_shell(const char *lines)
{
	char text[4096];
	int status;

	assert_in_range(snprintf(text, sizeof(text), SHELL, scratch, quire_path, lines), 1,
			sizeof(text) - 1);
	status = shell_status(text);
	if (status != 0)
		fail_msg("%s: status %d", lines, status);
}

/* As one frame that says nothing of its length and asks its reader for a window of 128 MiB. */
static void write_wide(const char *path, const struct bytes *trace)
{
	struct bytes out = { .nr = 0 };
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_inBuffer in = { .src = trace->data, .size = trace->nr };
	ZSTD_outBuffer frame = { .size = ZSTD_compressBound(trace->nr) };

	frame.dst = malloc(frame.size);
	assert_true(context != NULL && frame.dst != NULL);
	ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
	ZSTD_compressStream2(context, &frame, &in, ZSTD_e_flush);
	assert_int_equal(ZSTD_compressStream2(context, &frame, &in, ZSTD_e_end), 0);
	bytes_put(&out, frame.dst, frame.pos);
	file_write(path, &out);
	bytes_free(&out);
	free(frame.dst);
	ZSTD_freeCCtx(context);
}

static bool is_full(const char *path)
{
	int fd = open(path, O_WRONLY);
	bool full = fd >= 0 && write(fd, "", 1) == -1 && errno == ENOSPC;

	if (fd >= 0)
		close(fd);
	return full;
}

/* A device of our own: /dev/full itself would be lost to everybody if a command replaced it.  Who is not
 * root cannot do that. */
static bool has_full(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/full", scratch);
	if (access(path, F_OK) == 0)
		return true;
	if (mknod(path, S_IFCHR | 0666, makedev(1, 7)) == 0) {
		if (is_full(path))
			return true;
		unlink(path);
	}
	if (geteuid() != 0 && symlink("/dev/full", path) == 0)
		return true;
	print_message("SKIPPED: a device that is always full cannot be made here\n");
	return false;
}

static int make_traces(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(5, 300, &counts);
	struct bytes file = trace_compress(&trace);
	char path[64];

	if (scratch_make(state) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/trace", scratch);
	file_write(path, &file);
	snprintf(path, sizeof(path), "%s/decoded", scratch);
	file_write(path, &trace);
	snprintf(path, sizeof(path), "%s/wide", scratch);
	write_wide(path, &trace);
	bytes_free(&file);
	bytes_free(&trace);
	return 0;
}

/* ---- what cannot be written ------------------------------------------------------------------- */

/* Standard output is a full device: each says why, and ends with 3. */
static void a_full_standard_output_is_reported(void **state)
{
	static const char *const arguments[] = {
		"--help",
		"--version",
		"record --help",
		"replay --help",
		"explore --help",
		"explore --list",
		"explore --list-mutants",
		"replay trace",
		"replay --ablate trace",
		"explore first_use_of_lists_by_a_peer --runs 10",
	};

	(void)state;
	if (!has_full())
		skip_because("no device that is always full may be made here");
	for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		char line[512];

		if (strncmp(arguments[i], "explore", 7) == 0 && (MACHINE_ASAN || MACHINE_TSAN))
			continue; /* the simulator is not built */
		snprintf(line, sizeof(line),
			 "$Q %s >full 2>said; test $? = 3 && "
			 "grep -q 'standard output: No space left on device' said",
			 arguments[i]);
		expect_shell(line);
	}
}

static void a_file_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	expect_shell("$Q replay --json none/x trace >out 2>said; test $? = 3 && "
		     "grep -q 'none/x: No such file' said");
	expect_shell("$Q replay --json . trace >out 2>said; test $? = 3 && "
		     "grep -q 'Is a directory' said");
}

static void a_device_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	if (!has_full())
		skip_because("no device that is always full may be made here");
	expect_shell("$Q replay --json full trace >out 2>said; test $? = 3 && test -c full && "
		     "grep -q 'full: No space left on device' said && grep -q intact out");
}

static void a_page_of_a_finding_that_cannot_be_written_is_named(void **state)
{
	(void)state;
	if (MACHINE_ASAN || MACHINE_TSAN)
		skip_because("no simulator with a sanitizer");
	if (!has_full())
		skip_because("no device that is always full may be made here");
	expect_shell("$Q explore --mutant spare-taken-by-load spares_are_taken_once "
		     "--html full >out 2>said; test $? = 3 && test -c full && "
		     "grep -q 'full: No space left on device' said");
}

/* A limit of at most 1 KiB, of more than which there is to write. */
static void a_file_is_whole_or_as_it_was(void **state)
{
	(void)state;
	expect_shell("echo old >one; ln one two; echo old >alone; : >empty; mkdir there; "
		     "ln -s there/link dangling; ln -s ../absent there/link");
	expect_shell(
		"(ulimit -f 1; for f in one alone empty new dangling; do "
		"$Q replay --json $f trace 2>&1 >/dev/null | grep -q 'File too large' || exit 1; "
		"done)");
	expect_shell("test \"$(cat one alone)\" = \"$(echo old; echo old)\" && test ! -s empty && "
		     "test -e empty && test ! -e new && test ! -e absent && test -L dangling && "
		     "test -z \"$(ls . there | grep '[.]......$')\"");
	expect_shell("(ulimit -f 1; $Q replay trace >out 2>/dev/null; test $? = 3)");
	expect_shell("$Q replay --json dangling trace >/dev/null && test -f absent && "
		     "test -L dangling && test -L there/link");
	expect_shell("rm -r one two alone empty dangling there absent");
}

/* ---- what is written where -------------------------------------------------------------------- */

static void links_modes_and_names_stay(void **state)
{
	(void)state;
	expect_shell("umask 027; echo old >target; chmod 604 target; ln -s target link; "
		     "ln -s absent dangling; echo old >one; ln one two; "
		     "for f in link dangling one fresh; do "
		     "$Q replay --json $f trace >/dev/null || exit 1; done");
	expect_shell("test -L link && test -L dangling && test one -ef two");
	expect_shell("test $(stat -c %a target) = 604 && test $(stat -c %a fresh) = 640");
	expect_shell("for f in target absent two fresh; do tail -n 1 $f | grep -qx '}' || exit 1; "
		     "head -n 1 $f | grep -qx '{' || exit 1; done");
	expect_shell("rm target link dangling absent one two fresh");
}

static void pipes_are_written_in_place(void **state)
{
	(void)state;
	expect_shell("mkfifo fifo; timeout 30 cat fifo >got & "
		     "$Q replay --json fifo trace >/dev/null && wait $! && "
		     "test -p fifo && tail -n 1 got | grep -qx '}'");
	expect_shell("$Q replay --json /dev/stdout trace | grep -q '\"version\": 1'");
	/* The reader is gone before anything is written: a message, not a signal. */
	expect_shell(
		"timeout 30 sh -c ': <fifo' & $Q replay --json fifo trace 2>said >/dev/null; "
		"s=$?; wait $!; test $s = 0 || { test $s = 3 && grep -q 'Broken pipe' said; }");
	expect_shell("rm fifo got");
}

/* ---- what is read ------------------------------------------------------------------------------ */

static void a_trace_comes_from_a_pipe(void **state)
{
	(void)state;
	expect_shell("$Q replay trace | grep -v ' ns' | grep -c intact >wanted");
	expect_shell("cat trace | $Q replay - | grep -c intact | cmp - wanted");
	expect_shell("cat trace | $Q replay /dev/stdin | grep -c intact | cmp - wanted");
	expect_shell("$Q replay - <trace | grep -c intact | cmp - wanted");
	expect_shell("cat decoded | $Q replay - | grep -c intact | cmp - wanted");
	expect_shell("$Q replay decoded | grep -c intact | cmp - wanted");
	expect_shell("mkfifo fifo; timeout 30 cat trace >fifo & "
		     "$Q replay fifo | grep -c intact | cmp - wanted && wait $! && rm fifo");
}

static void what_is_no_trace_is_refused_wherever_it_comes_from(void **state)
{
	(void)state;
	expect_shell("echo text | $Q replay - 2>said; test $? = 2 && "
		     "grep -q 'at byte 0: not a recording' said");
	expect_shell("$Q replay - </dev/null 2>said; test $? = 2 && grep -q 'not a rec' said");
	expect_shell("$Q replay /dev/zero 2>said; test $? = 2 && grep -q 'not a rec' said");
	expect_shell("head -c 200 trace | $Q replay - 2>said; test $? = 2 && "
		     "grep -q 'truncated' said");
	expect_shell("head -c 900 decoded | $Q replay - 2>said; test $? = 2 && "
		     "grep -q 'truncated' said");
}

/* From too little for the command's libraries, which is the loader's to say, to enough for all: replayed, or refused with 1 and that
 * reason. */
static void no_memory_is_not_a_corrupt_file(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_shell("(ulimit -v 80000; $Q replay wide) 2>said; test $? = 1 && "
		     "grep -q 'at byte [0-9]*: no memory' said && $Q replay wide >out");
	expect_shell("for kB in 8000 10000 12000 14000 16000 20000 30000 50000 80000; do "
		     "(ulimit -v $kB; exec $Q replay trace) >out 2>said; s=$?; "
		     "case $s in 0) ;; 1) grep -q 'memory\\|ENOMEM\\|refused' said || exit 1;; "
		     "127) grep -q 'loading shared libraries' said || exit 1;; "
		     "*) echo $kB: $s; cat said; exit 1;; esac; done");
}

/* ---- the line of progress ---------------------------------------------------------------------- */

static void the_progress_line_fits_each_width(void **state)
{
	char line[256];

	(void)state;
	for (size_t room = 1; room < 2 * sizeof(line); room++) {
		progress_format(line, sizeof(line), room, "traces/pages-build.katr.zst", 42,
				123.456);
		assert_in_range(strlen(line), 1, room);
		if (room >= 5)
			assert_non_null(strstr(line, "42 %"));
	}
	progress_format(line, sizeof(line), 79, "a.zst", 7, 1.5);
	assert_string_equal(line, "a.zst:   7 %, 1.50 million operations a second");
	progress_format(line, sizeof(line), 20, "a.zst", 7, 1.5);
	assert_string_equal(line, "  7 %, 1.50 M/s");
}

/* What stands on a terminal of @columns while half is done, without the escapes around it. */
static void read_line_at(unsigned columns, char *text, size_t bytes)
{
	struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), screen, old;
	struct progress progress;
	ssize_t got;

	assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	screen = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_true(screen >= 0 && ioctl(screen, TIOCSWINSZ, &size) == 0);
	fflush(stderr);
	old = dup(STDERR_FILENO);
	dup2(screen, STDERR_FILENO);
	progress_begin(&progress, "traces/percpu-cgroups-11k.katr.zst", 1000);
	progress.begin_ns = progress.shown_ns = 0; /* long ago: it is shown at once */
	progress_add(&progress, 500, true);
	dup2(old, STDERR_FILENO);
	close(old);
	got = read(terminal, text, bytes - 1);
	close(screen);
	close(terminal);
	assert_true(got > 4);
	text[got] = '\0';
	assert_int_equal(text[0], '\r');
	assert_string_equal(text + got - 3, "\033[K");
	text[got - 3] = '\0';
	memmove(text, text + 1, (size_t)got - 3);
}

static void the_progress_line_fits_a_narrow_terminal(void **state)
{
	char text[512];

	(void)state;
	read_line_at(10, text, sizeof(text));
	assert_string_equal(text, " 50 %");
	read_line_at(100, text, sizeof(text));
	assert_non_null(strstr(text, "percpu-cgroups-11k.katr.zst:  50 %, "));
	read_line_at(40, text, sizeof(text));
	assert_in_range(strlen(text), 5, 39);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_standard_output_is_reported),
		cmocka_unit_test(a_file_that_cannot_be_written_is_named),
		cmocka_unit_test(a_device_that_cannot_be_written_is_named),
		cmocka_unit_test(a_page_of_a_finding_that_cannot_be_written_is_named),
		cmocka_unit_test(a_file_is_whole_or_as_it_was),
		cmocka_unit_test(links_modes_and_names_stay),
		cmocka_unit_test(pipes_are_written_in_place),
		cmocka_unit_test(a_trace_comes_from_a_pipe),
		cmocka_unit_test(what_is_no_trace_is_refused_wherever_it_comes_from),
		cmocka_unit_test(no_memory_is_not_a_corrupt_file),
		cmocka_unit_test(the_progress_line_fits_each_width),
		cmocka_unit_test(the_progress_line_fits_a_narrow_terminal),
	};
	char path[4096];

	if (argc < 2 || realpath(argv[1], path) == NULL) {
		fprintf(stderr, "usage: files_test QUIRE\n");
		return 2;
	}
	quire_path = path;
	return cmocka_run_group_tests(tests, make_traces, scratch_remove);
}
