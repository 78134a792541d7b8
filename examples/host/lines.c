/* SPDX-License-Identifier: MIT */
/* lines.c - a module that counts lines, in a variable with a copy on every CPU */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include "module.h"

/* There before start(), and 0 each time the module is loaded; the library frees it after dlclose(). */
static QUIRE_DEFINE_PER_CPU(int64_t, lines) = 0;

static int start(struct quire *q)
{
	(void)q;
	return 0;
}

static void take(const char *line)
{
	(void)line;
	quire_this_cpu_inc(lines);
}

static int64_t stop(void)
{
	return quire_per_cpu_sum(lines);
}

const struct module host_module = {
	.version = MODULE_VERSION,
	.start = start,
	.take = take,
	.stop = stop,
};
