/* SPDX-License-Identifier: MIT */
/* tracer.c - a child under ptrace that runs one sequence: see tracer.h */
#if defined(__x86_64__) || defined(__aarch64__)

#include "tracer.h"
#include "quire_test.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define RSEQ_CS_OFFSET 8 /* of the word rseq_cs in struct rseq */

/* ---- architectures --------------------------------------------------------------------------- */

/* What of a stopped child matters here. */
struct place {
	uint64_t pc;
	uint64_t thread_pointer;
};

static void get_registers(pid_t child, int kind, void *registers, size_t bytes)
{
	struct iovec vector = { registers, bytes };

	assert_int_equal(ptrace(PTRACE_GETREGSET, child, kind, &vector), 0);
}

#ifdef __x86_64__

#define BREAKPOINT	 0xccL /* int3: the child stops behind it */
#define BREAKPOINT_MASK	 0xffL
#define BREAKPOINT_BYTES 1u

static struct place place_of(pid_t child)
{
	struct user_regs_struct registers;

	get_registers(child, NT_PRSTATUS, &registers, sizeof(registers));
	return (struct place){ registers.rip, registers.fs_base };
}

static void go_to(pid_t child, uint64_t pc)
{
	struct user_regs_struct registers;
	struct iovec vector = { &registers, sizeof(registers) };

	get_registers(child, NT_PRSTATUS, &registers, sizeof(registers));
	registers.rip = pc;
	assert_int_equal(ptrace(PTRACE_SETREGSET, child, NT_PRSTATUS, &vector), 0);
}

uint64_t tracer_own_rseq_cs(intptr_t rseq_offset)
{
	uint64_t rseq_cs;

	__asm__ volatile("movq %%fs:8(%1), %0" : "=r"(rseq_cs) : "r"(rseq_offset));
	return rseq_cs;
}

#else

#define BREAKPOINT	 0xd4200000L /* brk #0: the child stops at it */
#define BREAKPOINT_MASK	 0xffffffffL
#define BREAKPOINT_BYTES 0u

static struct place place_of(pid_t child)
{
	struct user_regs_struct registers;
	uint64_t thread_pointer;

	get_registers(child, NT_PRSTATUS, &registers, sizeof(registers));
	get_registers(child, NT_ARM_TLS, &thread_pointer, sizeof(thread_pointer));
	return (struct place){ registers.pc, thread_pointer };
}

static void go_to(pid_t child, uint64_t pc)
{
	assert_u64_eq(place_of(child).pc, pc);
}

uint64_t tracer_own_rseq_cs(intptr_t rseq_offset)
{
	char *thread_pointer = __builtin_thread_pointer();

	return *(volatile uint64_t *)(void *)(thread_pointer + rseq_offset + RSEQ_CS_OFFSET);
}

#endif

/* ---- the child ------------------------------------------------------------------------------- */

const struct rseq_cs *tracer_section_of(uintptr_t function)
{
	const struct rseq_cs *found = NULL;

	for (const struct rseq_cs *cs = __start___rseq_cs; cs < __stop___rseq_cs; cs++) {
		if (cs->start_ip >= function && (found == NULL || cs->start_ip < found->start_ip))
			found = cs;
	}
	assert_non_null(found);
	return found;
}

void tracer_continue(struct tracer *tracer)
{
	assert_int_equal(ptrace(PTRACE_CONT, tracer->child, NULL, NULL), 0);
}

int tracer_wait(struct tracer *tracer)
{
	int status;

	assert_int_equal(waitpid(tracer->child, &status, 0), tracer->child);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return -1;
	}
	assert_true(WIFSTOPPED(status));
	return WSTOPSIG(status);
}

void tracer_break_at(struct tracer *tracer, uint64_t addr)
{
	long word;

	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, tracer->child, addr, NULL);
	assert_int_equal(errno, 0);
	tracer->patched_addr = addr;
	tracer->patched_word = word;
	word = (word & ~BREAKPOINT_MASK) | BREAKPOINT;
	assert_int_equal(ptrace(PTRACE_POKETEXT, tracer->child, addr, word), 0);
}

static void tracer_unbreak(struct tracer *tracer)
{
	assert_int_equal(
		ptrace(PTRACE_POKETEXT, tracer->child, tracer->patched_addr, tracer->patched_word),
		0);
	tracer->patched_addr = 0;
}

bool tracer_run_to_break(struct tracer *tracer)
{
	uint64_t addr = tracer->patched_addr;
	int signal;

	tracer_continue(tracer);
	signal = tracer_wait(tracer);
	if (signal < 0)
		return false;
	assert_int_equal(signal, SIGTRAP);
	assert_u64_eq(place_of(tracer->child).pc, addr + BREAKPOINT_BYTES);
	go_to(tracer->child, addr);
	tracer_unbreak(tracer);
	return true;
}

static uint64_t rseq_cs_addr(struct tracer *tracer)
{
	return place_of(tracer->child).thread_pointer + (uint64_t)tracer->rseq_offset +
	       RSEQ_CS_OFFSET;
}

void tracer_set_rseq_cs(struct tracer *tracer, uint64_t descriptor)
{
	assert_int_equal(ptrace(PTRACE_POKEDATA, tracer->child, rseq_cs_addr(tracer), descriptor),
			 0);
}

uint64_t tracer_rseq_cs(struct tracer *tracer)
{
	return (uint64_t)ptrace(PTRACE_PEEKDATA, tracer->child, rseq_cs_addr(tracer), NULL);
}

static bool is_inside(const struct tracer *tracer, uint64_t addr)
{
	return addr - tracer->section->start_ip < tracer->section->post_commit_offset;
}

void tracer_start(struct tracer *tracer, void (*body)(const void *arg), const void *arg)
{
	fflush(NULL);
	tracer->child = fork();
	assert_true(tracer->child >= 0);
	if (tracer->child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(2);
		raise(SIGSTOP);
		body(arg);
		_exit(0);
	}
	assert_int_equal(tracer_wait(tracer), SIGSTOP);
}

bool tracer_step(struct tracer *tracer, unsigned stop_idx)
{
	for (unsigned i = 0; i < stop_idx; i++) {
		if (!is_inside(tracer, place_of(tracer->child).pc))
			return false;
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, tracer->child, NULL, NULL), 0);
		assert_int_equal(tracer_wait(tracer), SIGTRAP);
	}
	return is_inside(tracer, place_of(tracer->child).pc);
}

void tracer_finish_after_abort(struct tracer *tracer)
{
	tracer_break_at(tracer, tracer->section->start_ip);
	assert_true(tracer_run_to_break(tracer));
	assert_u64_eq(tracer_rseq_cs(tracer), (uint64_t)tracer->section);
	tracer_break_at(tracer, tracer->section->abort_ip);
	assert_true(tracer_run_to_break(tracer));
	tracer_continue(tracer);
	assert_int_equal(tracer_wait(tracer), -1);
}

#endif
