/* SPDX-License-Identifier: MIT */
/* quire_test_bare.c - tests/lib/quire_test.h on threads of this machine, as far as its tests use it */
#include "quire_test.h"

#include <pthread.h>

#include "base/check.h"
#include "machine/bare/cpus.h"
#include "machine/process.h"

struct team_member {
	pthread_barrier_t *start;
	void (*body)(unsigned index, void *arg);
	void *arg;
	unsigned index;
};

static void team_member_run(void *arg)
{
	struct team_member *member = arg;

	pthread_barrier_wait(member->start);
	member->body(member->index, member->arg);
}

void team_run(unsigned threads_nr, void (*body)(unsigned index, void *arg), void *arg)
{
	struct team_member *members = calloc(threads_nr, sizeof(*members));
	struct thread **threads = calloc(threads_nr, sizeof(*threads));
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, threads_nr);
	for (unsigned i = 0; i < threads_nr; i++) {
		members[i] = (struct team_member){
			.start = &start, .body = body, .arg = arg, .index = i
		};
		threads[i] = thread_create(team_member_run, &members[i], false);
		assert_non_null(threads[i]);
	}
	for (unsigned i = 0; i < threads_nr; i++)
		thread_join(threads[i]);
	free(threads);
	free(members);
}

bool pin_to_cpu(unsigned cpu)
{
	return thread_pin(cpu);
}

unsigned allowed_cpus_nr(void)
{
	return cpus_nr();
}

int allowed_cpu_next(unsigned from)
{
	return from < cpus_nr() ? (int)from : -1;
}

bool can_fork(void)
{
	return false;
}

/* The command line may set what the loop over the programs would set otherwise. */
uint64_t env_u64(const char *name, uint64_t otherwise)
{
	const char *value = process_env(name);
	uint64_t number = 0;

	if (value == NULL || *value == '\0')
		return otherwise;
	for (; *value >= '0' && *value <= '9'; value++)
		number = number * 10 + (uint64_t)(*value - '0');
	CHECK_VALUES(*value == '\0', *value, number);
	return number;
}

/* Only programs that ask can_fork() first are built for this machine. */
pid_t child_fork(void)
{
	fail_msg("fork() on a bare machine");
}

int child_wait(pid_t child)
{
	fail_msg("child %d on a bare machine", child);
}
