/* SPDX-License-Identifier: MIT */
/*
 * profiled.c [killed|exits|signals|forks] - a program whose memory is known: 64 MiB of 1,000 bytes by one path, 64 MiB of 100,000 by
 * another, and as much again that is freed
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/profile.h>

#define KEPT_BYTES ((size_t)64 << 20)

/* So that no compiler leaves out a call or makes it the last one. */
#define STAYS __asm__ volatile("" ::: "memory")

static void *kept;

static inline __attribute__((always_inline)) void inlined_keeper(size_t bytes)
{
	void **block = malloc(bytes);

	if (block == NULL)
		abort();
	*block = kept;
	kept = block;
	STAYS;
}

static __attribute__((noinline)) void keeps_small_blocks(void)
{
	for (size_t n = KEPT_BYTES / 1000; n != 0; n--)
		inlined_keeper(1000);
}

static __attribute__((noinline)) void keeps_large_blocks(void)
{
	for (size_t n = KEPT_BYTES / 100000; n != 0; n--)
		inlined_keeper(100000);
}

static __attribute__((noinline)) void frees_what_it_takes(void)
{
	for (size_t n = KEPT_BYTES / 500; n != 0; n--) {
		free(malloc(500));
		STAYS;
	}
}

/* A child that asks for a profile has none, and leaves its parent's alone. */
static int forks(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		if (quire_profile_start(0) != -ENOTSUP || quire_profile_write("none") != -ENODATA)
			_exit(1);
		keeps_large_blocks();
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child ? status : 1;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (strcmp(how, "signals") == 0)
		raise(SIGUSR1);
	keeps_small_blocks();
	keeps_large_blocks();
	frees_what_it_takes();
	if (strcmp(how, "signals") == 0)
		raise(SIGUSR1);
	if (strcmp(how, "forks") == 0)
		return forks() != 0;
	if (strcmp(how, "killed") == 0)
		raise(SIGKILL);
	if (strcmp(how, "exits") == 0 || strcmp(how, "signals") == 0)
		_exit(7);
	return 0;
}
