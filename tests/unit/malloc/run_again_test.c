/* SPDX-License-Identifier: MIT */
/* run_again_test.c - the environment that a program which `quire run` started hands to what it becomes */
#include "quire_test.h"

#include "malloc/run_again.h"
#include "malloc/run_environment.h"

#define LIST(...) ((char *[]){ __VA_ARGS__, NULL })
#define E(text)	  ((char[]){ text })

static struct run_again taken(const char *value)
{
	static char text[256];
	char *environment[] = { E("A=1"), text, E("B=2"), NULL };
	struct run_again again;

	snprintf(text, sizeof(text), "QUIRE_RUN_EXEC=%s", value);
	assert_ptr_equal(run_again_take(environment), text + sizeof("QUIRE_RUN_EXEC"));
	assert_true(run_again_parse(text + sizeof("QUIRE_RUN_EXEC"), &again));
	assert_string_equal(environment[0], "A=1");
	assert_string_equal(environment[1], "B=2");
	assert_null(environment[2]);
	return again;
}

static void the_variable_is_read_and_taken_out(void **state)
{
	struct run_again again = taken("once,1,2,3 /x/q.so:/x/again.so");

	(void)state;
	assert_u64_eq(again.request_bytes, strlen("once,1,2,3"));
	assert_u64_eq(again.preload_bytes, strlen("/x/q.so:/x/again.so"));
	assert_null(again.conf);
	again = taken("once,1,2,3 /q:/a thp:off decay:1");
	assert_string_equal(again.conf, "thp:off decay:1");
	assert_string_equal(taken("once,1,2,3 /q:/a ").conf, "");
}

static void anything_else_is_taken_out_and_not_believed(void **state)
{
	struct run_again again;
	char *none[] = { E("A=1"), E("QUIRE_RUN_EXECS=a b"), NULL };

	(void)state;
	assert_null(run_again_take(none));
	assert_non_null(none[1]);
	assert_null(run_again_take(NULL));
	for (unsigned i = 0; i < 4; i++) {
		char *wrong[] = { (char *)LIST(E("QUIRE_RUN_EXEC="), E("QUIRE_RUN_EXEC=once"),
					       E("QUIRE_RUN_EXEC= /q"),
					       E("QUIRE_RUN_EXEC=once "))[i],
				  NULL };

		assert_false(run_again_parse(run_again_take(wrong), &again));
		assert_null(wrong[0]);
	}
}

/* Makes the environment in exactly the bytes that it says, and restores it as the library would. */
static void expect_there_and_back(const char *value, char **environment, const char *const *made,
				  const char *const *restored)
{
	struct run_again again = taken(value), other;
	size_t bytes = run_again_bytes(&again, environment);
	char *memory = malloc(bytes + 8);
	char **got;
	size_t nr;

	memset(memory, 0x5a, bytes + 8);
	got = run_again_environment(&again, environment, memory, bytes);
	assert_non_null(got);
	for (nr = 0; made[nr] != NULL; nr++) {
		assert_non_null(got[nr]);
		assert_string_equal(got[nr], made[nr]);
	}
	assert_null(got[nr]);
	for (size_t i = bytes; i < bytes + 8; i++)
		assert_int_equal(memory[i], 0x5a);
	assert_true(run_again_is_asked(got));
	assert_true(run_again_parse(run_again_take(got), &other));
	assert_string_equal(other.value, again.value);
	run_environment_restore(got);
	for (nr = 0; restored[nr] != NULL; nr++)
		assert_string_equal(got[nr], restored[nr]);
	assert_null(got[nr]);
	free(memory);
}

static void what_is_put_in_is_what_the_library_takes_out(void **state)
{
	(void)state;
	expect_there_and_back("once,1,2,3 /q:/a", LIST(E("A=1"), E("QUIRE_CONF=thp:on")),
			      (const char *const *)LIST(
				      "A=1", "QUIRE_CONF=thp:on", "QUIRE_RUN_EXEC=once,1,2,3 /q:/a",
				      "QUIRE_RUN=once,1,2,3,", "LD_PRELOAD=/q:/a"),
			      (const char *const *)LIST("A=1", "QUIRE_CONF=thp:on"));
	expect_there_and_back(
		"once,1,2,3 /q:/a new",
		LIST(E("QUIRE_CONF=old"), E("LD_PRELOAD=/m"), E("QUIRE_RUN_EXEC=stale"), E("A=1")),
		(const char *const *)LIST(
			"A=1", "QUIRE_CONF=new", "QUIRE_RUN_EXEC=once,1,2,3 /q:/a new",
			"QUIRE_RUN=once,1,2,3,QUIRE_CONF=old", "LD_PRELOAD=/q:/a:/m"),
		(const char *const *)LIST("A=1", "QUIRE_CONF=old", "LD_PRELOAD=/m"));
	expect_there_and_back(
		"once,1,2,3 /q:/a new", NULL,
		(const char *const *)LIST("QUIRE_CONF=new", "QUIRE_RUN_EXEC=once,1,2,3 /q:/a new",
					  "QUIRE_RUN=once,1,2,3,QUIRE_CONF", "LD_PRELOAD=/q:/a"),
		(const char *const *)LIST(NULL));
}

/* Another thread's setenv() and unsetenv(), between the counting and the writing. */
static void an_environment_that_grows_meanwhile_is_refused_and_nothing_written_behind(void **state)
{
	struct run_again again = taken("once,1,2,3 /q:/a new");
	char *environment[] = { E("A=1"), E("QUIRE_CONF=old"), E("LD_PRELOAD=/m"), NULL, NULL };
	static char longer[4096] = "LD_PRELOAD=";
	static _Alignas(char *) char memory[8192];
	size_t bytes = run_again_bytes(&again, environment);

	(void)state;
	memset(longer + strlen(longer), 'm', sizeof(longer) - strlen(longer) - 1);
	memset(memory, 0x5a, sizeof(memory));
	assert_null(run_again_environment(&again, environment, memory, bytes - 1));
	environment[2] = longer;
	assert_null(run_again_environment(&again, environment, memory, bytes));
	environment[2] = E("LD_PRELOAD=/m");
	environment[3] = E("B=2");
	assert_null(run_again_environment(&again, environment, memory, bytes));
	assert_null(run_again_environment(&again, environment, memory, sizeof(char *)));
	for (size_t i = bytes; i < sizeof(memory); i++)
		assert_int_equal(memory[i], 0x5a);
	environment[1] = NULL;
	assert_non_null(run_again_environment(&again, environment, memory, bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_variable_is_read_and_taken_out),
		cmocka_unit_test(anything_else_is_taken_out_and_not_believed),
		cmocka_unit_test(what_is_put_in_is_what_the_library_takes_out),
		cmocka_unit_test(
			an_environment_that_grows_meanwhile_is_refused_and_nothing_written_behind),
	};

	return cmocka_run_group_tests_name("run_again", tests, NULL, NULL);
}
