/* SPDX-License-Identifier: MIT */
#include "replay/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

/* A wait is usually for an operation that is running on another CPU now; then for one that is not.
 */
#define SPINS_BEFORE_YIELD 200

void engine_fail(struct engine *engine, const char *format, ...)
{
	struct engine_result *result = engine->result;
	va_list arguments;

	pthread_mutex_lock(&engine->error_lock);
	if (result->error[0] == '\0') {
		va_start(arguments, format);
		vsnprintf(result->error, sizeof(result->error), format, arguments);
		va_end(arguments);
	}
	pthread_mutex_unlock(&engine->error_lock);
	atomic_store_explicit(&engine->stopped, true, memory_order_relaxed);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* With threads another CPU may not have come so far yet.  NULL: the replay was stopped. */
void *engine_wait_for_address(struct actor *actor, uint32_t id)
{
	struct engine *engine = actor->engine;
	uint64_t begin_ns = progress_now_ns();
	void *addr = NULL;

	for (unsigned spins = 0; addr == NULL; spins++) {
		if (atomic_load_explicit(&engine->stopped, memory_order_relaxed))
			break;
		if (spins >= SPINS_BEFORE_YIELD)
			sched_yield();
		/* Pairs with the release in engine_set_address(). */
		addr = atomic_load_explicit(&engine->addresses[id], memory_order_acquire);
	}
	actor->waited_ns += progress_now_ns() - begin_ns;
	return addr;
}

void *engine_peek_address(struct engine *engine, uint32_t id)
{
	return atomic_load_explicit(&engine->addresses[id], memory_order_relaxed);
}

void engine_judge_end(struct engine *engine, int broken_rule, uint64_t lost_nr, const char *unit)
{
	if (broken_rule != 0)
		engine_fail(engine, "quire_verify() found rule %d broken: %s", broken_rule,
			    quire_rule_text(broken_rule));
	if (lost_nr != 0)
		engine_fail(engine, "%" PRIu64 " %s are lost: all blocks are freed", lost_nr, unit);
}

/* ---- a pass ---------------------------------------------------------------------------------- */

/* Written one by one, so that no page of the array is touched first inside a timing pass. */
static int make_addresses(struct engine *engine)
{
	size_t nr = (size_t)engine->plan->blocks_nr + 1;

	engine->addresses = malloc(nr * sizeof(engine->addresses[0]));
	engine->result->marks = calloc(engine->plan->marks_nr + 1, sizeof(struct engine_mark));
	engine->result->populated_kB = calloc(engine->plan->samples_nr + 1, sizeof(uint64_t));
	if (engine->addresses == NULL || engine->result->marks == NULL ||
	    engine->result->populated_kB == NULL) {
		engine_fail(engine, "%s", strerror(ENOMEM));
		return -1;
	}
	for (size_t i = 0; i < nr; i++)
		atomic_store_explicit(&engine->addresses[i], NULL, memory_order_relaxed);
	return 0;
}

int engine_run(struct engine *engine, struct engine_result *result)
{
	*result = (struct engine_result){ .marks = NULL };
	engine->result = result;
	engine->kind = engine->plan->kind == KATR_PAGE ? &engine_pages : &engine_objects;
	atomic_store(&engine->stopped, false);
	pthread_mutex_init(&engine->error_lock, NULL);
	if (make_addresses(engine) == 0 && engine->kind->open(engine) == 0) {
		if (engine->threads)
			engine_run_threads(engine);
		else
			engine_run_one_thread(engine);
		engine->kind->close(engine);
	}
	free(engine->addresses);
	pthread_mutex_destroy(&engine->error_lock);
	return result->error[0] == '\0' ? 0 : -1;
}

void engine_result_fini(struct engine_result *result)
{
	free(result->marks);
	free(result->populated_kB);
	result->marks = NULL;
	result->populated_kB = NULL;
}
