/* SPDX-License-Identifier: MIT */
/*
 * Under RLIMIT_AS the program keeps its addresses: all that instances reserve is at most half of the
 * limit, the program's malloc works, and whatever does not fit is refused by the call that needs it.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "base/errno.h"
#include "confine.h"
#include "instance/instance.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"
#include "quire_test.h"

/* In what a child exits with; 0 is fine. */
enum finding {
	NO_INSTANCE = 10,
	NO_PAGE,
	OTHER_REFUSAL, /* not ENOMEM or ENOSPC */
	NO_MALLOC,
	NO_THREAD,
	TOO_MUCH,
	NOT_VERIFIED,
	NO_ADDRESSES_AGAIN,
};

struct trial {
	uint64_t limit_bytes;
	bool needs_areas, needs_percpu;
	unsigned instances_nr;
};

static void *do_nothing(void *arg)
{
	return arg;
}

/* Had, or refused for want of memory or addresses, and only where that is allowed. */
static void check_refusal(const void *addr, bool needed)
{
	if (addr == NULL && (needed || (errno != ENOMEM && errno != ENOSPC)))
		_exit(OTHER_REFUSAL);
}

static void use(struct quire *q, const struct trial *trial)
{
	char *page = quire_alloc_pages(q, 0, 0), *area;
	void *object;

	if (page == NULL)
		_exit(NO_PAGE);
	page[0] = 1;
	area = quire_vmalloc(q, KIB(64), 0);
	check_refusal(area, trial->needs_areas);
	if (area != NULL)
		area[0] = 1;
	object = quire_alloc_percpu(q, 64, 0, 0);
	check_refusal(object, trial->needs_percpu);
	if (quire_verify(q) != 0)
		_exit(NOT_VERIFIED);
}

static void check_program_lives(const struct trial *trial, uint64_t before_bytes)
{
	uint64_t after_bytes = status_bytes("VmSize");
	pthread_attr_t attributes;
	pthread_t thread;

	if (after_bytes - before_bytes > trial->limit_bytes / 2)
		_exit(TOO_MUCH);
	if (malloc(trial->limit_bytes / 4) == NULL)
		_exit(NO_MALLOC);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, KIB(256));
	if (pthread_create(&thread, &attributes, do_nothing, NULL) != 0)
		_exit(NO_THREAD);
	pthread_join(thread, NULL);
}

static void try_limit(void *arg)
{
	const struct trial *trial = arg;
	const struct quire_options others =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF);
	uint64_t before_bytes = status_bytes("VmSize");

	setenv("QUIRE_CONF", "worker:off", 1); /* its stack would be counted as ours */
	confine_limit(RLIMIT_AS, trial->limit_bytes);
	for (unsigned i = 0; i < trial->instances_nr; i++) {
		struct quire *q = i == 0 ? quire_default() : NULL;

		if (i == 0 && q == NULL)
			_exit(NO_INSTANCE);
		if (i != 0 && quire_create(&others, &q) != 0)
			continue; /* refused: also fine */
		use(q, trial);
	}
	check_program_lives(trial, before_bytes);
}

static void a_program_keeps_its_addresses_under_any_limit(void **state)
{
	(void)state;
	skip_if_sanitized();
	for (uint64_t limit = MIB(48); limit <= MIB(2048); limit += limit / 3) {
		struct trial trial = { .limit_bytes = limit,
				       .needs_areas = true,
				       .needs_percpu = limit >= MIB(256),
				       .instances_nr = 1 };

		print_message("limit %llu KiB\n", (unsigned long long)(limit / KIB(1)));
		expect_life(try_limit, &trial);
	}
}

static void several_instances_have_one_budget(void **state)
{
	(void)state;
	skip_if_sanitized();
	for (uint64_t limit = MIB(96); limit <= MIB(2048); limit *= 2) {
		struct trial trial = { .limit_bytes = limit, .instances_nr = 12 };

		print_message("limit %llu KiB\n", (unsigned long long)(limit / KIB(1)));
		expect_life(try_limit, &trial);
	}
}

/* Whatever is too little even for one instance is an answer, not an end. */
static void try_too_little(void *arg)
{
	const uint64_t *limit_bytes = arg;
	struct quire *q = NULL;
	int error;

	confine_limit(RLIMIT_AS, *limit_bytes);
	error = quire_create(NULL, &q);
	if (error != 0 && (error != -ENOMEM || q != NULL))
		_exit(OTHER_REFUSAL);
	if (error == 0 && quire_verify(q) != 0)
		_exit(NOT_VERIFIED);
}

static void any_limit_is_answered(void **state)
{
	(void)state;
	skip_if_sanitized();
	for (uint64_t limit = MIB(1); limit <= MIB(64); limit += MIB(3))
		expect_life(try_too_little, &limit);
}

static void take_turns(void *arg)
{
	uint64_t first = 0;

	(void)arg;
	confine_limit(RLIMIT_AS, status_bytes("VmSize") + MIB(512));
	for (unsigned i = 0; i < 100; i++) {
		const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
		struct quire *q = NULL;

		if (quire_create(&options, &q) != 0)
			_exit(NO_INSTANCE);
		quire_vfree(q, quire_vmalloc(q, 4096, 0));
		quire_free_percpu(q, quire_alloc_percpu(q, 64, 0, 0));
		if (first == 0)
			first = q->limit_pages;
		if (q->limit_pages != first)
			_exit(NO_ADDRESSES_AGAIN);
		quire_destroy(q);
	}
}

static void addresses_of_a_destroyed_instance_can_be_had_again(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(take_turns, NULL);
}

static void ask_beyond(void *arg)
{
	char *first, *second;

	(void)arg;
	confine_limit(RLIMIT_AS, MIB(2048));
	first = mem_reserve(MIB(800), 4096, "quire-test");
	second = mem_reserve(MIB(400), 4096, "quire-test"); /* 2048 would hold it, half does not */
	if (first == NULL || second != NULL || mem_reserve_share() > MIB(112))
		_exit(TOO_MUCH);
	mem_release(first, MIB(800));
	if (mem_reserve(MIB(900), 4096, "quire-test") == NULL)
		_exit(NO_ADDRESSES_AGAIN);
}

static void a_reservation_beyond_half_of_the_limit_is_refused(void **state)
{
	(void)state;
	skip_if_sanitized();
	expect_life(ask_beyond, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_keeps_its_addresses_under_any_limit),
		cmocka_unit_test(several_instances_have_one_budget),
		cmocka_unit_test(any_limit_is_answered),
		cmocka_unit_test(addresses_of_a_destroyed_instance_can_be_had_again),
		cmocka_unit_test(a_reservation_beyond_half_of_the_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
