/* SPDX-License-Identifier: MIT */
/*
 * unwinds.c - from every instruction of an operation the stack unwinds to main() (see unwinds)
 *
 * Operations are executed instruction by instruction: a handler of SIGTRAP unwinds at each, from the int3
 * that it began with.  With rseq
 * each stop restarts a sequence, so what is seen is its way to the abort and back, without end: so
 * many steps, then it runs free.  Without rseq (GLIBC_TUNABLES) sequences run up to their refusals.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unwind.h>

#define STEPS_MOST 2000u
#define TRAP_FLAG  0x100

static unsigned steps, failed_nr;
/* Steps in rare code: aborts begin behind the signature's 7 bytes, refusals 5 behind them. */
static unsigned aborts_nr, refusals_nr;

int main(void);

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *arg)
{
	void *ip = (void *)(uintptr_t)_Unwind_GetIP(context);

	if (_Unwind_FindEnclosingFunction(ip) != (void *)(uintptr_t)main)
		return _URC_NO_REASON;
	*(int *)arg = 1;
	return _URC_END_OF_STACK;
}

static int reaches_main(void)
{
	int reached = 0;

	(void)_Unwind_Backtrace(look, &reached);
	return reached;
}

static void note(uintptr_t pc)
{
	const unsigned char *rare = (const unsigned char *)(pc & ~(uintptr_t)31);
	int is_rare = rare[0] == 0x0f && rare[1] == 0xb9 && rare[2] == 0x3d;

	aborts_nr += is_rare && pc % 32 == 7;
	refusals_nr += is_rare && pc % 32 > 7;
	if (reaches_main())
		return;
	if (failed_nr++ < 5)
		printf("no way to main() from %#lx, %s\n", (unsigned long)pc,
		       is_rare ? "rare code" : "elsewhere");
}

static volatile int is_stepping;

static void stop(int signal_nr, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)signal_nr;
	(void)info;
	note((uintptr_t)registers[REG_RIP]);
	if (is_stepping && ++steps < STEPS_MOST)
		registers[REG_EFL] |= (greg_t)TRAP_FLAG;
	else
		registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static long *count;
static struct quire *q;

static __attribute__((noinline)) void operate(void)
{
	quire_this_cpu_inc(count);
	if (quire_this_cpu_read(count) == 7)
		quire_this_cpu_write(count, 6);
	(void)quire_this_cpu_add_return(count, 2);
	(void)quire_this_cpu_cmpxchg(count, 3, 4);
}

/* With room on the stack, so that its frame is not that of its caller. */
static __attribute__((noinline)) void operate_deep(void)
{
	volatile long room[64];

	for (int i = 0; i < 64; i++)
		room[i] = i;
	quire_this_cpu_add(count, room[7]);
	(void)quire_this_cpu_xchg(count, room[9]);
}

static __attribute__((noinline)) void allocate(void)
{
	void *page = quire_alloc_pages(q, 0, QUIRE_NOLOCK);

	if (page != NULL)
		quire_free_pages(q, page, 0);
}

/* Once without stopping: what is bound or made at the first call is there then. */
static void stepped(void (*body)(void))
{
	body();
	steps = 0;
	is_stepping = 1;
	__asm__ volatile("int3");
	body();
	is_stepping = 0;
}

#if QUIRE_THIS_CPU_SEQUENCES
/* As before the words are filled: sequences go through the stand-in to their refusal, with rseq too. */
static struct quire_this_cpu_words empty = QUIRE_THIS_CPU_WORDS_INIT(empty);

static __attribute__((noinline)) void refuse(void)
{
	long old;

	if (quire_seq_add_8(&empty, count, 1) ||
	    quire_seq_read_8(&empty, count, (uint64_t *)(void *)&old))
		exit(3);
}
#endif

int main(void)
{
	struct sigaction action;

	q = quire_default();
	count = (long *)quire_alloc_percpu(q, sizeof(*count), 0, 0);
	if (count == NULL || !reaches_main())
		return 2;
	action = (struct sigaction){ .sa_flags = SA_SIGINFO };
	action.sa_sigaction = stop;
	if (sigaction(SIGTRAP, &action, NULL) != 0)
		return 2;
	stepped(operate);
	stepped(operate_deep);
	stepped(allocate);
#if QUIRE_THIS_CPU_SEQUENCES
	stepped(refuse);
#endif
	printf("%u aborts, %u refusals, %u without a way\n", aborts_nr, refusals_nr, failed_nr);
	if (getenv("GLIBC_TUNABLES") == NULL && aborts_nr == 0)
		return 4;
	return failed_nr != 0 || refusals_nr == 0;
}
