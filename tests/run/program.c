/* SPDX-License-Identifier: MIT */
/* program.c WHAT [NUMBER] - a program for run_test: does one thing, and ends with a status that says how */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t caught_nr;

static void catch (int number)
{
	(void)number;
	caught_nr++;
}

static void nap_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

/* Says that it is ready, waits for a signal, and ends with how many came, once no more can. */
static int count_signals(int number)
{
	struct sigaction action = { .sa_handler = catch };
	sigset_t one, before;

	sigemptyset(&one);
	sigaddset(&one, number);
	sigprocmask(SIG_BLOCK, &one, &before);
	sigaction(number, &action, NULL);
	(void)!write(STDOUT_FILENO, "ready\n", 6);
	while (caught_nr == 0)
		sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	nap_ms(300);
	return 10 + caught_nr;
}

static int print_environment(void)
{
	static const char *const names[] = { "LD_PRELOAD", "QUIRE_CONF", "QUIRE_RUN" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		printf("%s=%s\n", names[i], getenv(names[i]) != NULL ? getenv(names[i]) : "(none)");
	return 0;
}

/* The environment that is ours to clean, and whether the library is here. */
static int print_surroundings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool is_mapped = false;
	char line[1024];

	if (maps == NULL)
		return 1;
	while (fgets(line, sizeof(line), maps) != NULL)
		is_mapped |= strstr(line, "libquire-malloc") != NULL;
	fclose(maps);
	print_environment();
	printf("QUIRE_RUN_EXEC=%s\n",
	       getenv("QUIRE_RUN_EXEC") != NULL ? getenv("QUIRE_RUN_EXEC") : "(none)");
	printf("mapped: %s\n", is_mapped ? "yes" : "no");
	return 0;
}

/* What proc(5) says of env_start and env_end: from the first of the two entries up to the second. */
static bool find_environment(char **begin, char **end)
{
	FILE *stat = fopen("/proc/self/stat", "r");
	unsigned long first = 0, last = 0;
	char line[2048] = "", *at;

	if (stat == NULL)
		return false;
	at = fgets(line, sizeof(line), stat) != NULL ? strrchr(line, ')') : NULL;
	fclose(stat);
	for (int field = 2; at != NULL && field < 50; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL || sscanf(at, "%lu %lu", &first, &last) != 2 || first == 0)
		return false;
	*begin = (char *)first;
	*end = (char *)last;
	return true;
}

/* As programs do that show a title where their arguments were: the environment moves, and its text is lost. */
static bool lose_environment(void)
{
	char *begin, *end, **moved;
	size_t nr = 0;

	while (environ[nr] != NULL)
		nr++;
	moved = calloc(nr + 1, sizeof(char *));
	for (size_t i = 0; moved != NULL && i < nr; i++)
		moved[i] = strdup(environ[i]);
	if (moved == NULL || !find_environment(&begin, &end))
		return false;
	environ = moved;
	memset(begin, 0, (size_t)(end - begin));
	return true;
}

/* This program again, with the arguments behind the call's name. */
static int become(const char *call, const char *path, char **arguments)
{
	const char *first = arguments[1], *second = first != NULL ? arguments[2] : NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (strcmp(call, "execl") == 0)
		execl(path, path, first, second, NULL);
	else if (strcmp(call, "execle") == 0)
		execle(path, path, first, second, NULL, environ);
	else if (strcmp(call, "execlp") == 0)
		execlp(path, path, first, second, NULL);
	else if (strcmp(call, "execv") == 0)
		execv(path, arguments);
	else if (strcmp(call, "execve") == 0)
		execve(path, arguments, environ);
	else if (strcmp(call, "execvp") == 0)
		execvp(path, arguments);
	else if (strcmp(call, "execvpe") == 0)
		execvpe(path, arguments, environ);
	else if (strcmp(call, "fexecve") == 0)
		fexecve(fd, arguments, environ);
	else if (strcmp(call, "execveat") == 0)
		execveat(fd, "", arguments, environ, AT_EMPTY_PATH);
	return 98;
}

/* This program in a child, with the arguments behind. */
static int start_child(const char *how, const char *path, char **arguments)
{
	pid_t child = -1;
	int status;

	if (strcmp(how, "spawn") == 0 &&
	    posix_spawn(&child, path, NULL, NULL, arguments, environ) != 0)
		return 97;
	if (strcmp(how, "spawn") != 0)
		child = strcmp(how, "vfork") == 0 ? vfork() : fork();
	if (child == 0) {
		execv(path, arguments);
		_exit(98);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

static int close_everything(void)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	nap_ms(50);
	return 0;
}

/* Descriptors above the standard streams that are open. */
static int count_descriptors(void)
{
	int nr = 0;

	for (int fd = 3; fd < 1024; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static int make_children(int nr)
{
	for (int i = 0; i < nr; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			return 1;
	}
	return 0;
}

/* Blocked or ignored signals that a program does not expect to be. */
static int print_signals(void)
{
	sigset_t blocked;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (int number = 1; number < SIGRTMAX; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) != 0)
			continue;
		if (sigismember(&blocked, number) || action.sa_handler == SIG_IGN)
			printf("%d ", number);
	}
	printf("\n");
	return 0;
}

static int touch_memory(int mib)
{
	size_t bytes = (size_t)mib << 20;
	char *memory = malloc(bytes);

	if (memory == NULL)
		return 1;
	memset(memory, 1, bytes);
	nap_ms(100);
	return memory[bytes / 2] == 1 ? 0 : 2;
}

/* Before the constructors of all libraries. */
static void begin_early(int argc, char **argv, char **environment)
{
	environ = environment; /* libc has yet to */
	if (argc > 3 && strcmp(argv[1], "early") == 0) {
		const char *call = argv[2];

		argv[2] = argv[0];
		_exit(become(call, argv[0], argv + 2));
	}
}

__attribute__((section(".preinit_array"),
	       used)) static void (*const early)(int argc, char **argv,
						 char **environment) = begin_early;

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 0;

	if (strcmp(what, "exit") == 0)
		_exit(number);
	if (strcmp(what, "raise") == 0)
		return raise(number);
	if (strcmp(what, "abort") == 0)
		abort();
	if (strcmp(what, "count") == 0)
		return count_signals(number);
	if (strcmp(what, "environment") == 0)
		return print_environment();
	if (strcmp(what, "surroundings") == 0)
		return print_surroundings();
	if ((strcmp(what, "become") == 0 || (strcmp(what, "entitle") == 0 && lose_environment())) &&
	    argc > 3) {
		const char *call = argv[2];

		argv[2] = argv[0];
		return become(call, argv[0], argv + 2);
	}
	if ((strcmp(what, "fork") == 0 || strcmp(what, "vfork") == 0 ||
	     strcmp(what, "spawn") == 0) &&
	    argc > 2) {
		argv[1] = argv[0];
		return start_child(what, argv[0], argv + 1);
	}
	if (strcmp(what, "close") == 0)
		return close_everything();
	if (strcmp(what, "descriptors") == 0)
		return count_descriptors();
	if (strcmp(what, "children") == 0)
		return make_children(number);
	if (strcmp(what, "signals") == 0)
		return print_signals();
	if (strcmp(what, "touch") == 0)
		return touch_memory(number);
	return 99;
}
