/* SPDX-License-Identifier: MIT */
/*
 * conf_test QUIRE MALLOC - where options come from: a file for the machine, the program, the environment; and what `quire conf` says
 * of it
 *
 * Each test hides /etc behind an empty folder, in a child that the test becomes there.  MALLOC is the library to preload.
 */
#include "quire_test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/quire.h>

#include "confine.h"
#include "shell.h"

/* What the program's author says; tests change it in children, before the instance is made. */
const char *quire_conf;

static const char *quire_path, *malloc_path;

static struct {
	int status;
	char text[32768]; /* both streams */
} answer;

/* ---- a child with a file of its own ---- */

struct setting {
	const char *file, *symbol, *variable; /* NULL: there is none */
	void (*then)(void);		      /* ends the child */
};

static void child_main(void *arg)
{
	const struct setting *setting = arg;
	int fd;

	if (!confine_hide("/etc"))
		_exit(77);
	if (setting->file != NULL) {
		fd = open("/etc/quire.conf", O_WRONLY | O_CREAT, 0644);
		if (fd < 0 || write(fd, setting->file, strlen(setting->file)) < 0)
			_exit(78);
		close(fd);
	}
	quire_conf = setting->symbol;
	if (setting->variable != NULL)
		setenv("QUIRE_CONF", setting->variable, 1);
	else
		unsetenv("QUIRE_CONF");
	setting->then();
}

static void run(const struct setting *setting)
{
	struct setting copy = *setting;

	answer.status = child_answer(child_main, &copy, answer.text, sizeof(answer.text));
	if (answer.status == 77)
		skip_because("no file system may be mounted here");
}

static void expect(int status, const char *text)
{
	if (answer.status != status || strstr(answer.text, text) == NULL)
		fail_msg("status %d, expected %d and \"%s\":\n%s", answer.status, status, text,
			 answer.text);
}

/* Prints the options that the default instance has. */
static void print_options(void)
{
	char text[2048];

	quire_text_options(quire_default(), text, sizeof(text));
	_exit(write(1, text, strlen(text)) > 0 ? 0 : 1);
}

/* ---- the library ---- */

static void the_file_is_read_line_by_line(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "# the machine's\n\n  decay:321 # ms\nlimit:64m,thp:off\r\n",
			       .then = print_options });
	expect(0, "decay:321");
	expect(0, "limit:64m");
	expect(0, "thp:off");
}

static void a_last_line_needs_no_end(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "decay:322", .then = print_options });
	expect(0, "decay:322");
}

static void the_program_comes_before_the_file_and_the_environment_before_both(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "decay:321\nlimit:64m\nlazy_max:8m",
			       .symbol = "decay:222,limit:32m",
			       .variable = "decay:111",
			       .then = print_options });
	expect(0, "decay:111");
	expect(0, "limit:32m");
	expect(0, "lazy_max:8m");
}

static void a_wrong_line_is_named_by_its_number(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "decay:321\n\nlimt:64m\n", .then = print_options });
	expect(2, "unknown option \"limt\" at 1: did you mean \"limit\"? in /etc/quire.conf:3");
}

/* Comments before a last line, so that the file has @bytes. */
static const char *file_of(size_t bytes, const char *last)
{
	static char file[8192];
	size_t left = bytes - strlen(last);

	memset(file, '#', left);
	for (size_t i = 79; i < left; i += 80)
		file[i] = '\n';
	file[left - 1] = '\n';
	strcpy(file + left, last);
	return file;
}

static void all_of_a_file_is_read_or_it_is_refused(void **state)
{
	(void)state;
	run(&(struct setting){ .file = file_of(4094, "decay:323\n"), .then = print_options });
	expect(0, "decay:323");
	run(&(struct setting){ .file = file_of(4099, "decay:3230"), .then = print_options });
	expect(2, "quire: options beyond 4,094 bytes are not read in /etc/quire.conf:");
	run(&(struct setting){ .file = file_of(8000, "decay:3230"), .then = print_options });
	expect(2, "quire: options beyond 4,094 bytes are not read in /etc/quire.conf:");
}

static void preload(void)
{
	setenv("LD_PRELOAD", malloc_path, 1);
	execl("/bin/ls", "ls", "-d", "/", NULL);
	_exit(127);
}

static void a_preloaded_program_goes_on_with_a_warning(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "decay:321\nlimt:64m,decay:7\n", .then = preload });
	expect(0, "unknown option \"limt\" at 1: did you mean \"limit\"? in /etc/quire.conf:2; "
		  "ignored");
}

static void a_long_file_is_a_warning_too(void **state)
{
	(void)state;
	run(&(struct setting){ .file = file_of(4099, "decay:3230"), .then = preload });
	expect(0, "quire: options beyond 4,094 bytes are not read in /etc/quire.conf:");
	assert_null(strstr(answer.text, "decay")); /* nothing of its last line */
}

static void strict_ends_it(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "strict:on", .variable = "limt:64m", .then = preload });
	expect(2, "strict:on, and there are wrong options");
}

/* ---- quire conf ---- */

static void show(void)
{
	execl(quire_path, quire_path, "conf", NULL);
	_exit(127);
}

static void show_difference(void)
{
	execl(quire_path, quire_path, "conf", "--diff", NULL);
	_exit(127);
}

static void each_option_says_where_it_comes_from(void **state)
{
	(void)state;
	run(&(struct setting){
		.file = "decay:321\nlimit:64m", .variable = "decay:111,guard:off", .then = show });
	expect(0, "decay              111               ms       QUIRE_CONF, over "
		  "/etc/quire.conf:1 (321)");
	expect(0, "limit              64m               bytes    /etc/quire.conf:2");
	expect(0, "guard              off               -        QUIRE_CONF");
	expect(0, "backing            anon              -        built in");
	run(&(struct setting){ .file = "decay:321", .then = show_difference });
	expect(0, "decay");
	assert_null(strstr(answer.text, "backing"));
}

/* ---- quire conf of a process ---- */

static const char *conf_arguments;

/* A process that sees the setting's file, has a variable for malloc and has no such malloc; and the command, which sees no file. */
static void show_another(void)
{
	char runtime[] = "/tmp/conf_test.XXXXXX", line[1024];
	int status;
	pid_t pid;

	if (mkdtemp(runtime) == NULL || setenv("XDG_RUNTIME_DIR", runtime, 1) != 0 ||
	    setenv("QUIRE_MALLOC_CONF", "thp:off", 1) != 0)
		_exit(79);
	pid = fork();
	if (pid == 0) { /* again, so that its environment in /proc is this one */
		if (dup2(open("/dev/null", O_WRONLY), 1) < 0)
			_exit(79);
		execl("/proc/self/exe", "conf_test", "--wait", NULL);
		_exit(79);
	}
	if (unshare(CLONE_NEWNS) != 0 ||
	    !confine_hide("/etc")) /* from here on it is hidden from this one alone */
		_exit(77);
	unsetenv("QUIRE_CONF");
	snprintf(line, sizeof(line),
		 "for i in $(seq 100); do '%s' stats %d >/dev/null 2>&1 && break; sleep 0.1; done; "
		 "'%s' "
		 "conf %s %d",
		 quire_path, (int)pid, quire_path, conf_arguments, (int)pid);
	status = system(line);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (shell_remove(runtime) != 0)
		_exit(79);
	_exit(WEXITSTATUS(status));
}

static int wait_observed(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	quire_conf = "limit:64m";
	if (quire_alloc_pages(quire_default(), 0, 0) == NULL)
		return 1;
	for (;;)
		pause();
}

static void a_process_says_what_it_was_told(void **state)
{
	const struct setting setting = { .file = "# none\nlazy_max:8m\ndecay:321",
					 .variable = "decay:111,observe:on",
					 .then = show_another };

	(void)state;
	conf_arguments = "";
	run(&setting);
	expect(0, "lazy_max           8m                bytes    /etc/quire.conf:2\n");
	expect(0, "decay              111               ms       QUIRE_CONF, over "
		  "/etc/quire.conf:3 (321)");
	expect(0, "limit              64m               bytes    quire_conf");
	expect(0, "vmap_span          256m              bytes    follows other options");
	expect(0, "backing            anon              -        built in");
	assert_null(strstr(answer.text, "QUIRE_MALLOC_CONF"));
	conf_arguments = "--diff";
	run(&setting);
	expect(0, "limit              64m               bytes    quire_conf");
	assert_null(strstr(answer.text, "backing"));
}

static void show_none(void)
{
	execl(quire_path, quire_path, "conf", "1", NULL);
	_exit(127);
}

static void a_process_that_shows_nothing_is_refused(void **state)
{
	(void)state;
	run(&(struct setting){ .then = show_none });
	expect(1, "quire conf: process 1 ");
}

static void a_wrong_option_is_named_and_the_rest_shown(void **state)
{
	(void)state;
	run(&(struct setting){ .file = "decay:321\nlimt:64m", .then = show });
	expect(1, "unknown option \"limt\" at 1: did you mean \"limit\"? in /etc/quire.conf:2");
	expect(1, "decay              321");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_is_read_line_by_line),
		cmocka_unit_test(a_last_line_needs_no_end),
		cmocka_unit_test(the_program_comes_before_the_file_and_the_environment_before_both),
		cmocka_unit_test(a_wrong_line_is_named_by_its_number),
		cmocka_unit_test(a_preloaded_program_goes_on_with_a_warning),
		cmocka_unit_test(all_of_a_file_is_read_or_it_is_refused),
		cmocka_unit_test(a_long_file_is_a_warning_too),
		cmocka_unit_test(strict_ends_it),
		cmocka_unit_test(each_option_says_where_it_comes_from),
		cmocka_unit_test(a_process_says_what_it_was_told),
		cmocka_unit_test(a_process_that_shows_nothing_is_refused),
		cmocka_unit_test(a_wrong_option_is_named_and_the_rest_shown),
	};

	if (argc == 2 && strcmp(argv[1], "--wait") == 0)
		return wait_observed();
	if (argc != 3)
		return 2;
	quire_path = argv[1];
	malloc_path = argv[2];
	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
