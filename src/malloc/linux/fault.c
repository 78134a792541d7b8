/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/fault.c - what a fault on a page of the sample means, and who called
 *
 * The handler writes one line about an access to such a page, once in a process, and hands SIGSEGV back to what it was: the
 * instruction faults again, and then the program's own handler sees it, or it ends the process.  A fault elsewhere goes to that
 * handler as it is.  A program that sets a handler later keeps that one, and there is no line.
 *
 * Nothing here allocates or takes a lock: the fault may be anywhere.  Where module_find() finds no module there
 * are addresses alone.
 */
#include "malloc/sampled.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/text.h"
#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/process.h"
#include "malloc/linux/module.h"

#define LINE_BYTES 2048u

static struct sigaction former; /* (c) */
static uint32_t told;		/* atomic */

void sampled_note_callers(struct sampled_callers *callers, const struct malloc_call *call)
{
	unsigned n = trace_walk(call, callers->pc, TRACE_CALLS_MAX);

	while (n < TRACE_CALLS_MAX)
		callers->pc[n++] = 0;
}

/* ---- the line ---- */

/* The module and the offset that addr2line takes. */
static void put_address(struct text *text, uint64_t pc)
{
	struct module module = { .pc = pc };
	const char *name;

	if (module_find(&module)) {
		name = strrchr(module.name, '/');
		if (*module.name == '\0')
			name = program_invocation_short_name;
		else
			name = name != NULL ? name + 1 : module.name;
		text_put(text, name);
		text_put(text, "+");
		pc = module.offset;
	}
	text_put_hex(text, pc);
}

static void put_callers(struct text *text, const char *what, const struct sampled_callers *callers)
{
	text_put(text, what);
	for (unsigned i = 0; i < TRACE_CALLS_MAX && callers->pc[i] != 0; i++) {
		text_put(text, " ");
		put_address(text, callers->pc[i]);
	}
}

static const char *how(const ucontext_t *context)
{
#if defined(__x86_64__)
	return context->uc_mcontext.gregs[REG_ERR] & 2 ? "written" : "read";
#else
	(void)context;
	return "used";
#endif
}

static const char *where(const struct sampled_place *place, const char *addr)
{
	if (place->freed)
		return " after it was freed";
	return addr < place->block ? " in front of a block" : " behind a block";
}

/* "quire: misuse: written behind a block: address 0x... (offset 64, size 64), CPU 1, allocated at a+0x1 b+0x2" */
static void tell(const struct sampled_place *place, const char *addr, const ucontext_t *context)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: misuse: ");
	text_put(&text, how(context));
	text_put(&text, where(place, addr));
	text_put(&text, ": address ");
	text_put_hex(&text, (uint64_t)(uintptr_t)addr);
	text_put(&text, addr < place->block ? " (bytes before " : " (offset ");
	text_put_u64(&text,
		     (uint64_t)(addr < place->block ? place->block - addr : addr - place->block));
	text_put(&text, ", size ");
	text_put_u64(&text, place->bytes);
	text_put(&text, "), CPU ");
	text_put_u64(&text, process_cpu());
	put_callers(&text, ", allocated at", place->allocated);
	if (place->freed)
		put_callers(&text, ", freed at", place->given_back);
	text_end_line(&text);
	SYSTEM_CALL(SYS_write, STDERR_FILENO, line, strlen(line));
}

/* ---- the handler ---- */

/* The former action runs at the next fault, which comes at once if this one was a fault. */
static void hand_back(const siginfo_t *info)
{
	long self = SYSTEM_CALL(SYS_getpid), thread = SYSTEM_CALL(SYS_gettid);

	sigaction(SIGSEGV, &former, NULL);
	if (info->si_code <= 0)
		SYSTEM_CALL(SYS_tgkill, self, thread, (long)SIGSEGV);
}

static void handle(int number, siginfo_t *info, void *context)
{
	struct sampled_place place;

	if (info->si_code > 0 && sampled_find(info->si_addr, &place)) {
		if (fetch_add_relaxed(&told, 1) == 0)
			tell(&place, info->si_addr, context);
		hand_back(info);
	} else if (former.sa_flags & SA_SIGINFO) {
		former.sa_sigaction(number, info, context);
	} else if (former.sa_handler == SIG_DFL ||
		   (former.sa_handler == SIG_IGN && info->si_code > 0)) {
		hand_back(info); /* a fault cannot be ignored, a signal that was sent is */
	} else if (former.sa_handler != SIG_IGN) {
		former.sa_handler(number);
	}
}

void sampled_watch_faults(void)
{
	struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction found;

	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, NULL, &found);
	if ((found.sa_flags & SA_SIGINFO) && found.sa_sigaction == handle)
		return; /* a child of fork makes the heap that its parent was making */
	former = found;
	sigaction(SIGSEGV, &action, NULL);
}
