/* SPDX-License-Identifier: MIT */
/* record_program.c WHAT NUMBER - a program for record_program_test: its blocks have sizes that nothing else in the process asks for */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long number;

/* So that no compiler leaves a pair out.  Each thread frees its own. */
static _Thread_local void *volatile kept;

static void take(size_t bytes, long nr)
{
	for (long i = 0; i < nr; i++)
		kept = malloc(bytes);
}

static void pairs(size_t bytes, long nr)
{
	for (long i = 0; i < nr; i++) {
		kept = malloc(bytes);
		free(kept);
	}
}

static int every_kind(void)
{
	kept = calloc(3, 1002);
	free(kept);
	kept = aligned_alloc(256, 5120);
	kept = malloc(2003);
	kept = realloc(kept, 2004); /* of the same class */
	kept = realloc(kept, 90005);
	kept = realloc(kept, 7000006);
	kept = realloc(NULL, 2007);
	kept = realloc(kept, 0);
	kept = malloc((size_t)PTRDIFF_MAX);
	return kept != NULL;
}

static void *thread(void *arg)
{
	(void)arg;
	pairs(1001, number);
	return NULL;
}

static int threads(void)
{
	pthread_t ids[4];

	for (unsigned i = 0; i < 4; i++)
		if (pthread_create(&ids[i], NULL, thread, NULL) != 0)
			return 1;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	return 0;
}

static void *handed; /* a block on its way to the thread that frees it */

static void *take_and_free(void *arg)
{
	(void)arg;
	for (long i = 0; i < number; i++) {
		void *block;

		while ((block = __atomic_exchange_n(&handed, NULL, __ATOMIC_ACQUIRE)) == NULL)
			sched_yield();
		free(block);
	}
	return NULL;
}

/* Blocks are used again and again, by two threads each time.  The second thread has no event but these. */
static int hand_over(void)
{
	pthread_t id;

	if (pthread_create(&id, NULL, take_and_free, NULL) != 0)
		return 1;
	for (long i = 0; i < number; i++) {
		void *block = malloc(1001);

		while (__atomic_load_n(&handed, __ATOMIC_RELAXED) != NULL)
			sched_yield();
		__atomic_store_n(&handed, block, __ATOMIC_RELEASE);
	}
	return pthread_join(id, NULL);
}

/* The child frees a block of the parent's, and so does the parent. */
static int child(void)
{
	void *volatile block = malloc(1001); /* or a compiler leaves it out */
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		free(block);
		pairs(1003, number);
		_exit(0);
	}
	free(block);
	pairs(1001, number);
	return waitpid(pid, &status, 0) == pid ? status : 1;
}

/* A child that ends with all that it has. */
static int keeps(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0) {
		take(1003, number);
		_exit(0);
	}
	take(1001, number);
	return waitpid(pid, &status, 0) == pid ? status : 1;
}

/* More children than there are parts, a few at a time. */
static int children(void)
{
	int status, failed = 0;

	for (long i = 0; i < number; i++) {
		if (fork() == 0) {
			pairs(1003, 10);
			_exit(0);
		}
		if (i >= 4)
			failed |= wait(&status) < 0 || status != 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}

static volatile sig_atomic_t handled;

/* NOLINTBEGIN(bugprone-signal-handler) */
static void frees(int signal_number)
{
	(void)signal_number;
	free(kept);
	handled++;
}
/* NOLINTEND(bugprone-signal-handler) */

/* From here on the system call fallocate raises SIGSYS and fails. */
static int trap_fallocate(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	signal(SIGSYS, frees);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

/* A handler frees in a child that has left its parent's part of the spool and has none of its own. */
static int interrupted_child(void)
{
	int status = 1;
	pid_t pid;

	kept = malloc(1001);
	if (trap_fallocate() != 0)
		return 2;
	pid = fork();
	if (pid == 0)
		_exit(handled == 0);
	return waitpid(pid, &status, 0) == pid ? status != 0 : 1;
}

/* With the recorder stopped, so that nobody moves what the rings hold. */
static int lose(void)
{
	kill(getppid(), SIGSTOP);
	pairs(1001, number);
	kill(getppid(), SIGCONT);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[1] : "";

	number = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	if (strcmp(what, "kinds") == 0)
		return every_kind();
	if (strcmp(what, "threads") == 0)
		return threads();
	if (strcmp(what, "handed") == 0)
		return hand_over();
	if (strcmp(what, "child") == 0)
		return child();
	if (strcmp(what, "keeps") == 0)
		return keeps();
	if (strcmp(what, "children") == 0)
		return children();
	if (strcmp(what, "interrupted") == 0)
		return interrupted_child();
	if (strcmp(what, "lose") == 0)
		return lose();
	take(1001, number);
	if (strcmp(what, "exec") == 0)
		execl(argv[0], argv[0], "take", argv[2], NULL);
	if (strcmp(what, "both") == 0)
		kill(getppid(), SIGKILL);
	if (strcmp(what, "killed") == 0 || strcmp(what, "both") == 0)
		kill(getpid(), SIGKILL);
	return strcmp(what, "take") == 0 ? 0 : 1;
}
