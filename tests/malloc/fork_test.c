/* SPDX-License-Identifier: MIT */
/*
 * fork_test.c - a process forks again and again while its threads allocate
 *
 * Each child allocates at once, frees what its parent allocated, and forks once more.  Handlers of others
 * allocate, too: of one that was registered before the library's own, the calls run while the fork holds
 * all of its locks.  QUIRE_FORKS sets how many forks there are.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "quire_test.h"

#define FORKS	   200u
#define THREADS_NR 3u
#define BLOCKS_NR  200u

extern char **environ;

/* What a child found wrong is its exit status. */
enum finding {
	CHILD_FINE,
	CHILD_REFUSED,
	CHILD_OVERWRITTEN,
	CHILD_CANNOT_FORK,
};

static struct {
	bool stop; /* atomic */
	unsigned prepared_nr, parent_nr, child_nr;
} scene;

static const size_t sizes[] = { 1, 16, 100, 1000, 4000, 20000, 33000, 100000 };
#define SIZES_NR (sizeof(sizes) / sizeof(sizes[0]))

static bool use_once(size_t bytes)
{
	unsigned char *block = malloc(bytes);

	if (block == NULL)
		return false;
	block[0] = block[bytes - 1] = 1;
	free(block);
	return true;
}

static void in_prepare(void)
{
	scene.prepared_nr += use_once(100) && use_once(50000);
}

static void in_parent(void)
{
	scene.parent_nr += use_once(100) && use_once(50000);
}

static void in_child(void)
{
	scene.child_nr += use_once(100) && use_once(50000);
}

static void register_early(void)
{
	pthread_atfork(in_prepare, in_parent, in_child);
}

/* Before all constructors, the library's among them. */
__attribute__((section(".preinit_array"), used)) static void (*early)(void) = register_early;

static void *allocate(void *arg)
{
	unsigned char *blocks[BLOCKS_NR] = { NULL };
	size_t random = (size_t)(uintptr_t)&arg | 1;

	while (!__atomic_load_n(&scene.stop, __ATOMIC_RELAXED)) {
		unsigned which = (unsigned)(random >> 40) % BLOCKS_NR;

		free(blocks[which]);
		random = random * 6364136223846793005u + 1442695040888963407u;
		blocks[which] = malloc(1 + (random >> 50));
		if (blocks[which] != NULL)
			blocks[which][0] = 1;
	}
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		free(blocks[i]);
	return NULL;
}

static enum finding use_all(void)
{
	for (unsigned round = 0; round < 20; round++)
		for (size_t i = 0; i < SIZES_NR; i++)
			if (!use_once(sizes[i]))
				return CHILD_REFUSED;
	return CHILD_FINE;
}

static _Noreturn void child(unsigned char **blocks, unsigned depth)
{
	enum finding finding = use_all();
	int status = 0;
	pid_t pid;

	for (size_t i = 0; i < SIZES_NR && finding == CHILD_FINE; i++) {
		if (blocks[i][0] != i + 1 || blocks[i][sizes[i] - 1] != i + 1)
			finding = CHILD_OVERWRITTEN;
		free(blocks[i]);
	}
	if (depth == 0 && finding == CHILD_FINE) {
		pid = fork();
		if (pid == 0)
			_exit((int)use_all());
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
			finding = CHILD_CANNOT_FORK;
			dprintf(STDERR_FILENO, "its child: pid %d, status %#x\n", (int)pid,
				(unsigned)status);
		}
	}
	_exit((int)finding);
}

static void children_of_a_busy_process_allocate_at_once(void **state)
{
	uint64_t forks = env_u64("QUIRE_FORKS", FORKS);
	pid_t watchdog = watchdog_start(100 + (unsigned)(forks / 10));
	unsigned char *blocks[SIZES_NR];
	pthread_t ids[THREADS_NR];
	unsigned wrong_nr = 0;

	(void)state;
	for (size_t i = 0; i < SIZES_NR; i++) {
		blocks[i] = malloc(sizes[i]);
		memset(blocks[i], (int)i + 1, sizes[i]);
	}
	for (unsigned i = 0; i < THREADS_NR; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, allocate, NULL), 0);
	for (uint64_t i = 0; i < forks; i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			child(blocks, i % 8 == 0 ? 0 : 1);
		wrong_nr += pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
		if (status != 0)
			printf("fork %llu: status %#x\n", (unsigned long long)i, (unsigned)status);
	}
	__atomic_store_n(&scene.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS_NR; i++)
		pthread_join(ids[i], NULL);
	for (size_t i = 0; i < SIZES_NR; i++)
		free(blocks[i]);
	assert_u64_eq(wrong_nr, 0);
	assert_true(scene.prepared_nr >= forks && scene.prepared_nr == scene.parent_nr);
	kill(watchdog, SIGKILL);
	waitpid(watchdog, NULL, 0);
}

/* A child that shares its parent's memory until it executes a program. */
static void children_that_share_memory_are_spawned(void **state)
{
	char *const arguments[] = { "true", NULL };
	pid_t pid;
	int status;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		pid = vfork();
		if (pid == 0) {
			execvp("true", arguments);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_true(use_once(1000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_of_a_busy_process_allocate_at_once),
		cmocka_unit_test(children_that_share_memory_are_spawned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
