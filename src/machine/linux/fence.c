/* SPDX-License-Identifier: MIT */
#include "machine/linux/fence.h"

#include <linux/membarrier.h>
#include <stdbool.h>

#include <quire/quire.h>

#include "base/check.h"
#include "base/text.h"
#include "machine/atomic.h"
#include "machine/linux/system.h"

#define FENCE_COMMAND  MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
#define FENCE_REGISTER MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ
/* The flag that makes the third argument a CPU; Linux 5.10, like the command. */
#define FENCE_ONE_CPU  1

/* Atomic; set once: this process uses fences, so its children must register for them. */
static bool is_enabled;

static long membarrier(int command, unsigned flags, unsigned cpu)
{
	return SYSTEM_CALL(SYS_membarrier, command, flags, (int)cpu);
}

/* A kernel that registers a process for fences grants them.  A filter that knows of membarrier(2) and permits
 * only this would end the process at its first fence: none is known. */
int fence_enable(void)
{
	long result = membarrier(FENCE_REGISTER, 0, 0);

	if (result == 0)
		store_relaxed(&is_enabled, true);
	return (int)result;
}

/* Two threads may both ask; they get the same answer. */
bool fence_can_name_a_cpu(void)
{
	static uint32_t answer; /* atomic: 0 unknown, 1 no, 2 yes */
	uint32_t known = load_relaxed(&answer);

	if (known == 0) {
		known = membarrier(FENCE_COMMAND, FENCE_ONE_CPU, 0) == 0 ? 2 : 1;
		store_relaxed(&answer, known);
	}
	return known == 2;
}

/* Without the fence, one page could get two owners. */
static _Noreturn void stop(long error)
{
	char line[160];
	const struct quire_stop why = { .struct_bytes = sizeof(why),
					.cause = QUIRE_STOP_SYSTEM,
					.rule = "membarrier(2) is refused",
					.call = __func__,
					.detail = (uint64_t)-error,
					.line = line,
					.cpu = check_cpu() };
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text,
		 "quire: the system refuses membarrier(2), which it granted at the start: error ");
	text_put_u64(&text, (uint64_t)-error);
	text_put(&text, "; permit it, or begin with GLIBC_TUNABLES=glibc.pthread.rseq=0\n");
	check_die(&why);
}

/*
 * Older kernels allocate a mask for the call and may be short of memory for a moment.  A process
 * that lost its registration (by a fork that ran no handlers, or by a tool that restored it)
 * registers again.  Any other refusal means that a filter forbids the call, which was granted
 * before.
 */
static void fence(unsigned flags, unsigned cpu)
{
	long result;

	do
		result = membarrier(FENCE_COMMAND, flags, cpu);
	while (result == -ENOMEM || result == -EAGAIN || result == -EINTR ||
	       (result == -EPERM && membarrier(FENCE_REGISTER, 0, 0) == 0));
	if (UNLIKELY(result != 0))
		stop(result);
}

void fence_all(void)
{
	fence(0, 0);
}

void fence_cpu(unsigned cpu)
{
	fence(FENCE_ONE_CPU, cpu);
}

void fence_fork_child(void)
{
	/* If refused, the first fence registers again. */
	if (load_relaxed(&is_enabled))
		(void)membarrier(FENCE_REGISTER, 0, 0);
}
