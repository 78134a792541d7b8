/* SPDX-License-Identifier: MIT */
/* scene.c - what sim.h offers to scenarios, and how a run fails */
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "machine/batch.h"
#include "machine/sim/internal.h"

struct failure sim_failure;
unsigned sim_checks_made;

unsigned sim_cpus(struct sim *sim)
{
	(void)sim;
	return sim_opt.cpus_nr;
}

unsigned batch_most(unsigned most)
{
	unsigned max = sim_mode & MODE_RUN ? sim_opt.batch_max : 0;

	return max != 0 && max < most ? max : most;
}

void sim_cpu(struct sim *sim, unsigned cpu, void (*body)(void *arg), void *arg)
{
	(void)sim;
	if (cpu >= sim_opt.cpus_nr)
		sim_fail("scenario", "CPU %u of %u", cpu, sim_opt.cpus_nr);
	sched_spawn("task", cpu, body, arg);
}

/* RT: a handler is a task that waits above the others. */
static void handler_task(void *arg)
{
	struct irq *irq = arg;

	for (;;) {
		sched_sleep(UINT64_MAX, 0);
		irq->body(irq->arg);
	}
}

void sim_irq(struct sim *sim, unsigned cpu, void (*body)(void *arg), void *arg, unsigned times)
{
	struct irq *irq = &sim_run_.irqs[sim_run_.irqs_nr];

	(void)sim;
	if (sim_run_.irqs_nr++ == IRQS_MAX)
		sim_fail("scenario", "too many handlers");
	*irq = (struct irq){ .body = body, .arg = arg, .times = times, .cpu = (uint16_t)cpu };
	if (sim_opt.config != SIM_UP_RT && sim_opt.config != SIM_SMP_RT)
		return;
	irq->task = sched_spawn("handler", cpu, handler_task, irq);
	sim_run_.tasks[irq->task].level = 1;
	sim_run_.tasks[irq->task].daemon = true;
}

void sim_run(struct sim *sim)
{
	(void)sim;
	sched_run_phase();
}

void sim_forbid_wait(bool forbid)
{
	current_task()->no_wait = forbid;
}

void sim_irqs_off(void)
{
	current_task()->irq_off = true;
	sched_point(POINT_NOTE, current_task(), 0, CALLER_PC);
}

void sim_irqs_on(void)
{
	current_task()->irq_off = false;
	sched_point(POINT_NOTE, current_task(), 0, CALLER_PC);
}

bool sim_in_handler(void)
{
	const struct task *task = current_task();

	return task->irq_depth != 0 || task->level != 0;
}

void sim_wait(const uint32_t *word, uint32_t value)
{
	sched_point(POINT_LOAD, word, 4, CALLER_PC);
	while (*word == value)
		sched_block(word, 0);
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_acquire(word);
	if (sim_mode & MODE_LATE)
		late_pin(sim_run_.current);
}

void sim_wake(const uint32_t *word)
{
	sched_point(POINT_STORE, word, 4, CALLER_PC);
	if (sim_mode & MODE_BUFFER)
		buffer_drain_all(current_task());
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_release(word);
	sched_wake(word);
}

/* ---- failing ---- */

void sim_end_by(const char *rule)
{
	sim_end_by_words(rule, NULL);
}

void sim_end_by_words(const char *rule, const char *words)
{
	sim_run_.ends_by = rule;
	sim_run_.ends_words = words;
}

static bool is_right_end(const char *rule, const char *text)
{
	if (sim_run_.ends_by == NULL || strcmp(sim_run_.ends_by, rule) != 0)
		return false;
	return sim_run_.ends_words == NULL || strstr(text, sim_run_.ends_words) != NULL;
}

_Noreturn void sim_fail(const char *rule, const char *format, ...)
{
	va_list list;

	trace_settle();
	va_start(list, format);
	vsnprintf(sim_failure.text, sizeof(sim_failure.text), format, list);
	va_end(list);
	if (is_right_end(rule, sim_failure.text))
		sched_end_well();
	sim_failure.found = true;
	snprintf(sim_failure.rule, sizeof(sim_failure.rule), "%s", rule);
	sched_leave_run();
}

void sim_check_failed(const char *condition, const char *function, unsigned line, uint64_t left,
		      uint64_t right)
{
	if (left == right)
		sim_fail("check", "%s:%u: %s", function, line, condition);
	sim_fail("check", "%s:%u: %s: %llu and %llu", function, line, condition,
		 (unsigned long long)left, (unsigned long long)right);
}

extern const ElfW(Ehdr) __executable_start;

uintptr_t scene_image_base(void)
{
	return __executable_start.e_type == ET_DYN ? (uintptr_t)&__executable_start : 0;
}

static void crashed(int signal_number, siginfo_t *info, void *context)
{
	(void)context;
	if (!sched_inside()) {
		static const char text[] = "quire-explore: crashed outside a run\n";

		fputs(text, stderr);
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	sim_fail("wild access", "%s at %p", strsignal(signal_number), info->si_addr);
}

/* Finds a loop without a single hook that counts: asks every 10 seconds of CPU time whether there have been any. */
static void watch(int signal_number)
{
	static uint64_t last;
	static uint32_t last_run;
	uint64_t hooks = 0;

	(void)signal_number;
	for (unsigned i = 0; i < POINT_KINDS_NR; i++)
		hooks += sim_hooks_seen[i];
	if (hooks == last && last_run == sim_run_number && sched_inside())
		sim_fail("livelock", "10 seconds without a write or a scheduling point");
	last = hooks;
	last_run = sim_run_number;
}

void scene_catch_signals(void)
{
	static char stack[64 << 10];
	static const int caught[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	struct sigaction tick = { .sa_flags = SA_ONSTACK | SA_NODEFER | SA_RESTART };
	struct itimerval every = { { .tv_sec = 10 }, { .tv_sec = 10 } };

	sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
	action.sa_sigaction = crashed;
	for (unsigned i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaction(caught[i], &action, NULL);
	tick.sa_handler = watch;
	sigaction(SIGPROF, &tick, NULL);
	setitimer(ITIMER_PROF, &every, NULL);
}
