/* SPDX-License-Identifier: MIT */
/*
 * tracer.h - a child under ptrace that runs one sequence and is stopped inside it (x86-64, aarch64)
 *
 * Stopping a thread preempts it, and so aborts the section it is in.  To get to an instruction
 * inside, the tracer clears the child's rseq_cs, steps, and puts rseq_cs back: let go then, the
 * child has to come to the abort label.
 */
#ifndef TRACER_H
#define TRACER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As the kernel's headers have it, which a system for building need not have. */
struct rseq_cs {
	uint32_t version, flags;
	uint64_t start_ip, post_commit_offset, abort_ip;
} __attribute__((aligned(32)));

struct tracer {
	const struct rseq_cs *section;
	intptr_t rseq_offset; /* of the child's struct rseq from its thread pointer */
	pid_t child;
	unsigned long patched_addr; /* of the breakpoint; 0: none */
	long patched_word;
	unsigned aborts_nr;
};

/* The linker's names for the bounds of the section in which descriptors lie. */
extern const struct rseq_cs __start___rseq_cs[] __attribute__((visibility("hidden")));
extern const struct rseq_cs __stop___rseq_cs[] __attribute__((visibility("hidden")));

/* The first section behind the beginning of a function that is one sequence. */
const struct rseq_cs *tracer_section_of(uintptr_t function);
/* A child that waits to be let go and then runs @body(@arg). */
void tracer_start(struct tracer *tracer, void (*body)(const void *arg), const void *arg);
void tracer_continue(struct tracer *tracer);
/* Waits for the child to stop; gives the signal, or -1 if it ended well. */
int tracer_wait(struct tracer *tracer);
void tracer_break_at(struct tracer *tracer, uint64_t addr);
/* Runs to the breakpoint and takes it away; false if the child ended without meeting it. */
bool tracer_run_to_break(struct tracer *tracer);
void tracer_set_rseq_cs(struct tracer *tracer, uint64_t descriptor);
uint64_t tracer_rseq_cs(struct tracer *tracer);
/* The calling thread's own. */
uint64_t tracer_own_rseq_cs(intptr_t rseq_offset);
/* Steps to the instruction wanted, or out of the section if it ends before; says which. */
bool tracer_step(struct tracer *tracer, unsigned stop_idx);
/* From the abort label to the end, by way of a second stop at the first instruction: there the
 * section must be armed again, so that this stop is one more abort. */
void tracer_finish_after_abort(struct tracer *tracer);

#endif
