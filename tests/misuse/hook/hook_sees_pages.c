/* SPDX-License-Identifier: MIT */
/* A block of pages is freed with another order: the hook is told what the line says. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

#include <quire/page.h>

#include "hook_say.h"

static void *block;
static unsigned cpu;

/* What is wrong, or NULL. */
static const char *judge(const struct quire_stop *stop, const void *arg)
{
	char address[32];

	snprintf(address, sizeof(address), "address 0x%llx (order 2)",
		 (unsigned long long)(uintptr_t)block);
	if (arg != &block)
		return "hook: another argument\n";
	if (stop->struct_bytes != sizeof(*stop) || stop->cause != QUIRE_STOP_MISUSE)
		return "hook: another size or cause\n";
	if (strcmp(stop->rule, "wrong order") != 0 || strcmp(stop->call, "quire_free_pages") != 0)
		return "hook: another rule or call\n";
	if (stop->address != block || stop->detail != 2 || stop->detail_name == NULL ||
	    strcmp(stop->detail_name, "order") != 0)
		return "hook: another address or order\n";
	if (stop->cpu != cpu)
		return "hook: another CPU\n";
	if (strncmp(stop->line, "quire: misuse: wrong order: ", 28) != 0 ||
	    strstr(stop->line, address) == NULL)
		return "hook: another line\n";
	return NULL;
}

static void hook(const struct quire_stop *stop, void *arg)
{
	const char *wrong = judge(stop, arg);

	say(wrong == NULL ? "hook: all as expected\n" : wrong);
}

int main(void)
{
	struct quire *q = quire_default();
	cpu_set_t set;

	cpu = (unsigned)sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		return 1;
	block = quire_alloc_pages(q, 3, 0);
	quire_set_stop_hook(hook, &block, NULL);
	quire_free_pages(q, block, 2);
	return 0;
}
