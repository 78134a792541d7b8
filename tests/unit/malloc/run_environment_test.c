/* SPDX-License-Identifier: MIT */
/* run_environment_test.c - what `quire run` writes into the environment, and how it is taken out again */
#include "quire_test.h"

#include "malloc/run_environment.h"

static void a_request_is_read(void **state)
{
	struct run_request request;

	(void)state;
	assert_true(run_request_parse("once,1234,100,00ab12,QUIRE_CONF=a:b,c:d", &request));
	assert_true(request.once);
	assert_u64_eq(request.pid, 1234);
	assert_u64_eq(request.fd, 100);
	assert_u64_eq(request.cookie, 0xab12);
	assert_string_equal(request.before, "QUIRE_CONF=a:b,c:d");
	assert_true(run_request_parse("all,0,0,ffffffffffffffff,", &request));
	assert_false(request.once);
	assert_u64_eq(request.cookie, UINT64_MAX);
	assert_string_equal(request.before, "");
}

static void anything_else_is_no_request(void **state)
{
	static const char *const wrong[] = {
		"",
		"once",
		"once,",
		"once,1",
		"once,1,2",
		"once,1,2,3",
		"once,,2,3,",
		"once,1,,3,",
		"once,1,2,,",
		"some,1,2,3,",
		"once,-1,2,3,",
		"once,1,2,g,",
		"once,1, 2,3,",
		"once,99999999999,2,3,",
		"once,1,2,10000000000000000,",
	};
	struct run_request request;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (run_request_parse(wrong[i], &request))
			fail_msg("accepted: %s", wrong[i]);
	assert_true(sizeof(wrong) != 0);
}

/* Restores @before, whose last entry is NULL, and compares it with @after. */
static void expect_restored(const char *const *before, const char *const *after)
{
	char texts[16][128];
	char *environment[17];
	size_t nr = 0;

	for (; before[nr] != NULL; nr++) {
		snprintf(texts[nr], sizeof(texts[nr]), "%s", before[nr]);
		environment[nr] = texts[nr];
	}
	environment[nr] = NULL;
	run_environment_restore(environment);
	for (nr = 0; after[nr] != NULL; nr++) {
		assert_non_null(environment[nr]);
		assert_string_equal(environment[nr], after[nr]);
	}
	assert_null(environment[nr]);
}
#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* As the command begins it, with two libraries. */
#define OURS "LD_PRELOAD=/x/q.so:/x/again.so"

static void the_environment_is_as_it_was_before(void **state)
{
	(void)state;
	expect_restored(LIST("A=1", OURS, "QUIRE_RUN=once,1,2,3,", "B=2"), LIST("A=1", "B=2"));
	expect_restored(LIST(OURS ":/y/other.so z.so", "QUIRE_RUN=once,1,2,3,"),
			LIST("LD_PRELOAD=/y/other.so z.so"));
	expect_restored(LIST("LD_PRELOAD=/q:/a:z", "QUIRE_RUN=once,1,2,3,"), LIST("LD_PRELOAD=z"));
	expect_restored(LIST(OURS ":", "QUIRE_RUN=once,1,2,3,"), LIST("LD_PRELOAD="));
	expect_restored(
		LIST(OURS, "QUIRE_CONF=new", "QUIRE_RUN=once,1,2,3,QUIRE_CONF=old,x", "B=2"),
		LIST("QUIRE_CONF=old,x", "B=2"));
	expect_restored(LIST("QUIRE_RUN=once,1,2,3,QUIRE_CONF", "QUIRE_CONF=new", "B=2"),
			LIST("B=2"));
	expect_restored(LIST("QUIRE_RUN=once,1,2,3,", "QUIRE_CONF=mine", "B=2"),
			LIST("QUIRE_CONF=mine", "B=2"));
}

static void what_is_not_ours_is_left_alone(void **state)
{
	(void)state;
	expect_restored(LIST(OURS, "QUIRE_RUN=all,1,2,3,"), LIST(OURS, "QUIRE_RUN=all,1,2,3,"));
	expect_restored(LIST(OURS, "QUIRE_RUN=nonsense"), LIST(OURS, "QUIRE_RUN=nonsense"));
	expect_restored(LIST(OURS, "QUIRE_RUNS=1"), LIST(OURS, "QUIRE_RUNS=1"));
	expect_restored(LIST("A=1"), LIST("A=1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_read),
		cmocka_unit_test(anything_else_is_no_request),
		cmocka_unit_test(the_environment_is_as_it_was_before),
		cmocka_unit_test(what_is_not_ours_is_left_alone),
	};

	return cmocka_run_group_tests_name("run_environment", tests, NULL, NULL);
}
