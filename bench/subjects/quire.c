/* SPDX-License-Identifier: MIT */
/* quire.c - the patterns on one instance with default options, as a program would call */
#include <quire/page.h>
#include "subjects/subjects.h"

static struct quire *instance;

#define SUBJECT_LOCALS		   struct quire *const q = instance
#define SUBJECT_ALLOC(order)	   quire_alloc_pages(q, order, 0)
#define SUBJECT_FREE(block, order) quire_free_pages(q, block, order)

#include "harness/patterns.inc.h"

static const char *quire_setup(void)
{
	return quire_create(NULL, &instance) == 0 ? NULL : "quire_create() was refused";
}

static void *quire_order_alloc(unsigned order)
{
	return quire_alloc_pages(instance, order, 0);
}

static void quire_order_free(void *block, unsigned order)
{
	quire_free_pages(instance, block, order);
}

static void quire_ask_release(void)
{
	quire_release(instance);
}

const struct subject subject_quire = {
	.name = "quire",
	.order_max = QUIRE_ORDER_MAX,
	.setup = quire_setup,
	.patterns = SUBJECT_PATTERNS,
	.alloc = quire_order_alloc,
	.free = quire_order_free,
	.release = quire_ask_release,
};
