/* SPDX-License-Identifier: MIT */
/* program.c WHAT [NUMBER] - a program for run_test: does one thing, and ends with a status that says how */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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
