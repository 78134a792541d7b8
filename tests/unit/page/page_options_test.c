/* SPDX-License-Identifier: MIT */
#include "machine/lock.h"
#include "page/pages.h"
#include "quire_test.h"

#include <errno.h>
#include <limits.h>

#include "instance/options.h"

static struct quire_options options;
static char error[256];

static int begin(void **state)
{
	(void)state;
	options = (struct quire_options)QUIRE_OPTIONS_INIT();
	memset(error, 'x', sizeof(error) - 1);
	return 0;
}

static void accept(const char *text)
{
	int result = quire_options_parse(text, &options, error, sizeof(error));

	if (result != 0)
		fail_msg("\"%s\" was refused: %s", text, error);
	assert_int_equal(quire_options_check(&options), 0);
}

/* Refused with this line, and with the options as they were. */
static void refuse(const char *text, const char *line)
{
	struct quire_options before = options;

	assert_int_equal(quire_options_parse(text, &options, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, line);
	assert_memory_equal(&options, &before, sizeof(options));
}

static void the_empty_string_changes_nothing(void **state)
{
	(void)state;
	options.zones = 3;
	accept("");
	assert_u64_eq(options.zones, 3);
	assert_u64_eq(options.limit_bytes, 0);
	assert_int_equal(error[0], 'x');
}

static void every_key_sets_its_field(void **state)
{
	(void)state;
	accept("limit:64m,slots:3,zones:2,page_shift:14,decay:250,thp:on,rseq:off,report:off,"
	       "worker:inline,debug:on,hardened:off,sample:1000,isolated:2-5+8");
	assert_u64_eq(options.limit_bytes, 64 << 20);
	assert_u64_eq(options.slots, 3);
	assert_u64_eq(options.zones, 2);
	assert_u64_eq(options.page_shift, 14);
	assert_u64_eq(options.decay_ms, 250);
	assert_int_equal(options.thp, QUIRE_ON);
	assert_int_equal(options.rseq, QUIRE_OFF);
	assert_int_equal(options.report, QUIRE_OFF);
	assert_int_equal(options.worker, QUIRE_WORKER_INLINE);
	assert_string_equal(options.isolated, "2-5+8");
	assert_int_equal(options.debug, QUIRE_ON);
	assert_int_equal(options.hardened, QUIRE_OFF);
	assert_u64_eq(options.sample, 1000);
}

static void each_word_is_its_constant(void **state)
{
	(void)state;
	accept("guard:on");
	assert_int_equal(options.guard, QUIRE_GUARD_ON);
	accept("guard:off");
	assert_int_equal(options.guard, QUIRE_GUARD_OFF);
	accept("guard:freed,thp:auto");
	assert_int_equal(options.guard, QUIRE_GUARD_FREED);
	assert_int_equal(options.thp, QUIRE_AUTO);
	assert_int_equal(quire_options_check(&options), 0);
}

static void only_the_named_field_changes(void **state)
{
	struct quire_options expected;

	(void)state;
	options.slots = 7;
	options.thp = QUIRE_OFF;
	expected = options;
	expected.zones = 4;
	accept("zones:4");
	assert_memory_equal(&options, &expected, sizeof(options));
}

static void sizes_take_suffixes(void **state)
{
	(void)state;
	accept("limit:2097152");
	assert_u64_eq(options.limit_bytes, 2097152);
	accept("limit:4096k");
	assert_u64_eq(options.limit_bytes, 4096 << 10);
	accept("limit:3M");
	assert_u64_eq(options.limit_bytes, 3 << 20);
	accept("limit:5g");
	assert_u64_eq(options.limit_bytes, (uint64_t)5 << 30);
	accept("limit:1T");
	assert_u64_eq(options.limit_bytes, (uint64_t)1 << 40);
}

static void words_are_read_whole(void **state)
{
	(void)state;
	accept("worker:thread");
	assert_int_equal(options.worker, QUIRE_WORKER_THREAD);
	accept("worker:off");
	assert_int_equal(options.worker, QUIRE_WORKER_OFF);
	refuse("worker:of", "quire: bad value \"of\" for option \"worker\" at 8: expected thread, "
			    "inline or off; did you mean \"off\"?");
}

static void of_duplicates_the_last_wins(void **state)
{
	(void)state;
	accept("zones:2,slots:1,zones:5");
	assert_u64_eq(options.zones, 5);
	assert_u64_eq(options.slots, 1);
}

static void an_unknown_key_is_named_with_the_nearest(void **state)
{
	(void)state;
	refuse("limt:1g", "quire: unknown option \"limt\" at 1: did you mean \"limit\"?");
	refuse("zones:2,pageshift:12",
	       "quire: unknown option \"pageshift\" at 9: did you mean \"page_shift\"?");
	refuse("slots:1,thp:on,iosolated:2",
	       "quire: unknown option \"iosolated\" at 16: did you mean \"isolated\"?");
	refuse("Limit:1g", "quire: unknown option \"Limit\" at 1: did you mean \"limit\"?");
}

static void a_missing_option_is_named_by_its_place(void **state)
{
	(void)state;
	refuse(",", "quire: option missing at 1: expected key:value");
	refuse("zones:2,", "quire: option missing at 9: expected key:value");
	refuse("zones:2,,slots:1", "quire: option missing at 9: expected key:value");
}

static void a_missing_value_is_refused(void **state)
{
	(void)state;
	refuse("zones", "quire: bad value \"\" for option \"zones\" at 6: expected 1..8");
	refuse("zones:", "quire: bad value \"\" for option \"zones\" at 7: expected 1..8");
	refuse("thp:",
	       "quire: bad value \"\" for option \"thp\" at 5: expected on, off or auto; did you "
	       "mean \"on\"?");
	refuse("isolated:", "quire: bad value \"\" for option \"isolated\" at 10: expected CPUs "
			    "such as 2-5+8, or none");
}

static void a_number_out_of_range_names_the_nearest(void **state)
{
	(void)state;
	refuse("zones:9",
	       "quire: bad value \"9\" for option \"zones\" at 7: expected 1..8; the nearest is 8");
	refuse("zones:0",
	       "quire: bad value \"0\" for option \"zones\" at 7: expected 1..8; the nearest is 1");
	refuse("slots:8193",
	       "quire: bad value \"8193\" for option \"slots\" at 7: expected 1..8192; "
	       "the nearest is 8192");
	refuse("page_shift:11", "quire: bad value \"11\" for option \"page_shift\" at 12: expected "
				"12..16; the nearest is 12");
	refuse("limit:1m",
	       "quire: bad value \"1m\" for option \"limit\" at 7: expected a size from "
	       "2m to below 16t; the nearest is 2m");
	refuse("limit:16t", "quire: bad value \"16t\" for option \"limit\" at 7: expected a size "
			    "from 2m to below 16t; the nearest is 16777214m");
}

static void bounds_are_inside(void **state)
{
	(void)state;
	accept("limit:2m,slots:1,zones:1,page_shift:12,decay:1");
	accept("limit:16777214m,slots:8192,zones:8,page_shift:16,decay:86400000");
	assert_u64_eq(options.limit_bytes, ((uint64_t)1 << 44) - ((uint64_t)2 << 20));
}

/* 2^64 + 2 must not pass for 2, nor 2^32 + 2, nor a suffix that shifts bits out. */
static void overflow_is_out_of_range(void **state)
{
	(void)state;
	refuse("zones:18446744073709551618", "quire: bad value \"18446744073709551618\" for option "
					     "\"zones\" at 7: expected 1..8; the nearest is 8");
	refuse("zones:4294967298", "quire: bad value \"4294967298\" for option \"zones\" at 7: "
				   "expected 1..8; the nearest is 8");
	refuse("limit:18014398509481986k", "quire: bad value \"18014398509481986k\" for option "
					   "\"limit\" at 7: expected a size from 2m to below 16t; "
					   "the nearest is 16777214m");
	refuse("limit:99999999999999999999t",
	       "quire: bad value \"99999999999999999999t\" for option \"limit\" at 7: expected a "
	       "size from 2m to below 16t; the nearest is 16777214m");
}

static void what_is_no_number_is_refused(void **state)
{
	(void)state;
	refuse("limit:12q", "quire: bad value \"12q\" for option \"limit\" at 7: expected a size "
			    "from 2m to below 16t");
	refuse("limit:1gb", "quire: bad value \"1gb\" for option \"limit\" at 7: expected a size "
			    "from 2m to below 16t");
	refuse("limit:g", "quire: bad value \"g\" for option \"limit\" at 7: expected a size from "
			  "2m to below 16t");
	refuse("zones:2k", "quire: bad value \"2k\" for option \"zones\" at 7: expected 1..8");
	refuse("zones:-1", "quire: bad value \"-1\" for option \"zones\" at 7: expected 1..8");
	refuse("zones: 2", "quire: bad value \" 2\" for option \"zones\" at 7: expected 1..8");
}

static void a_late_error_undoes_what_came_before(void **state)
{
	(void)state;
	refuse("zones:2,thp:on,slots:3,report:onn",
	       "quire: bad value \"onn\" for option \"report\" at 31: expected on or off; did you "
	       "mean \"on\"?");
	assert_u64_eq(options.zones, 0);
}

static void the_error_is_one_short_line(void **state)
{
	(void)state;
	refuse("a\nb\x1b:1", "quire: unknown option \"a?b?\" at 1: did you mean \"thp\"?");
	refuse("thp:onoffonoffonoffonoffonoffonoff",
	       "quire: bad value \"onoffonoffonoffonoffonof...\" for option \"thp\" at 5: expected "
	       "on, off or auto; did you mean \"off\"?");
}

static void a_small_error_buffer_is_not_overrun(void **state)
{
	(void)state;
	assert_int_equal(quire_options_parse("limt:1", &options, error, 10), -EINVAL);
	assert_string_equal(error, "quire: un");
	assert_int_equal(error[10], 'x');
	assert_int_equal(quire_options_parse("limt:1", &options, NULL, 0), -EINVAL);
}

static void a_list_of_cpus_ends_with_its_item(void **state)
{
	uint64_t bits[2] = { 0, 0 };

	(void)state;
	accept("isolated:2-5+8+70,zones:2");
	assert_int_equal(options_cpu_list(options.isolated, bits, 128), 0);
	assert_u64_eq(bits[0], 0x13c);
	assert_u64_eq(bits[1], 1 << 6);
	refuse("isolated:2,8", "quire: bad value \"2\" for option \"isolated\" at 10: expected "
			       "CPUs such as 2-5+8, or none");
}

static void a_wrong_list_of_cpus_is_refused(void **state)
{
	static const char *const wrong[] = { "a", "1-", "-1", "5-2", "1++2", "1+", "1;2", "8192" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[64], line[128];

		snprintf(text, sizeof(text), "isolated:%s", wrong[i]);
		snprintf(line, sizeof(line),
			 "quire: bad value \"%s\" for option \"isolated\" at 10: expected CPUs "
			 "such as 2-5+8, or none",
			 wrong[i]);
		refuse(text, line);
	}
}

static void a_list_of_cpus_may_use_commas_in_the_struct(void **state)
{
	uint64_t bits[1] = { 0 };

	(void)state;
	assert_int_equal(options_cpu_list("0-1,3,9000", bits, 64), -EINVAL);
	bits[0] = 0;
	assert_int_equal(options_cpu_list("0-1,3,8191", bits, 64), 0);
	assert_u64_eq(bits[0], 0xb);
}

static void check_passes_zeros(void **state)
{
	(void)state;
	assert_int_equal(quire_options_check(&options), 0);
}

static void check_refuses_each_field_out_of_range(void **state)
{
	const struct quire_options wrong[] = {
		{ .limit_bytes = 4096 },
		{ .limit_bytes = UINT64_MAX },
		{ .slots = 8193 },
		{ .zones = 9 },
		{ .page_shift = 11 },
		{ .page_shift = 17 },
		{ .decay_ms = UINT_MAX },
		{ .thp = (enum quire_switch)4 },
		{ .rseq = (enum quire_switch)3 },
		{ .report = (enum quire_switch) - 1 },
		{ .worker = (enum quire_worker)4 },
		{ .guard = (enum quire_guard)QUIRE_AUTO },
		{ .guard = (enum quire_guard)(QUIRE_GUARD_FREED + 1) },
		{ .thp = (enum quire_switch)QUIRE_GUARD_FREED },
		{ .debug = (enum quire_switch)QUIRE_AUTO },
		{ .hardened = (enum quire_switch)QUIRE_AUTO },
		{ .isolated = "" },
		{ .isolated = "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (quire_options_check(&wrong[i]) != -EINVAL)
			fail_msg("case %zu passed", i);
	}
}

static void none_is_a_word_where_it_is_a_default(void **state)
{
	(void)state;
	accept("isolated:2,placement_without:time");
	accept("isolated:none,placement_without:none,zones:2");
	assert_null(options.isolated);
	assert_int_equal(options.placement_without, QUIRE_RULE_NONE);
	assert_u64_eq(options.zones, 2);
}

/* The options in use of an instance made from @text. */
static void used_by(const char *text, char *used, size_t bytes)
{
	struct quire_options given = QUIRE_OPTIONS_INIT();
	struct quire *q;

	assert_int_equal(quire_options_parse(text, &given, error, sizeof(error)), 0);
	assert_int_equal(quire_create(&given, &q), 0);
	assert_in_range(quire_text_options(q, used, bytes), 1, bytes - 1);
	quire_destroy(q);
}

/* It names every key of the tables, in their order. */
static void names_every_key(const char *used)
{
	const struct option_key *key;

	for (unsigned i = 0; (key = option_key_at(i)) != NULL; i++) {
		size_t bytes = strlen(key->name);

		if (strncmp(used, key->name, bytes) != 0 || used[bytes] != ':')
			fail_msg("\"%s\" does not begin with %s", used, key->name);
		used = strchr(used, ',');
		used = used != NULL ? used + 1 : "";
	}
	assert_string_equal(used, "");
}

static void what_is_used_makes_the_same_again(void **state)
{
	static const char *const confs[] = {
		"limit:64m",
		"limit:123456789,zones:3,decay:77,thp:off,report:off",
		"limit:32m,slots:1,worker:inline,cache:off,guard:freed,purge:counter",
		"limit:32m,rseq:off,isolated:1+3-5+70,worker:off,units:5,depopulate:off",
		"limit:32m,backing:memfd,guard:off,purge:lock,placement:linux,vmap_span:12m",
		"limit:32m,page_shift:14,thp:on,lazy_max:4k,placement_without:across",
	};
	char used[1024], again[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		used_by(confs[i], used, sizeof(used));
		names_every_key(used);
		used_by(used, again, sizeof(again));
		assert_string_equal(used, again);
	}
}

static void what_was_given_is_used(void **state)
{
	static const char *const items[] = {
		"limit:48m",	   "decay:77",
		"thp:off",	   "isolated:1+3-5+70",
		"worker:inline",   "zones:2",
		"vmap_span:12m",   "lazy_max:3m",
		"guard:freed",	   "purge:lock",
		"units:5",	   "depopulate:off",
		"placement:linux", "placement_without:holes",
		"cache:off",
	};
	char conf[512] = "", used[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		strcat(conf, i == 0 ? "" : ",");
		strcat(conf, items[i]);
	}
	used_by(conf, used, sizeof(used));
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		if (strstr(used, items[i]) == NULL)
			fail_msg("no %s in \"%s\"", items[i], used);
	}
}

/* A limit that is no whole number of pages, and a worker that has nothing to do. */
static void what_is_used_is_not_what_was_asked_for(void **state)
{
	char used[1024];

	(void)state;
	used_by("limit:2097153,report:off,worker:inline", used, sizeof(used));
	assert_non_null(strstr(used, "limit:2m,"));
	assert_non_null(strstr(used, "report:off,worker:off,"));
}

/* They are of malloc alone, but the same QUIRE_CONF is read by all. */
static void what_malloc_looks_for_is_ignored_by_others(void **state)
{
	char used[1024];

	(void)state;
	used_by("limit:32m,debug:on,hardened:on,sample:5", used, sizeof(used));
	assert_non_null(strstr(used, "debug:off,hardened:off,sample:0,"));
}

static void a_text_of_options_is_cut_to_fit(void **state)
{
	struct quire_options given = QUIRE_OPTIONS_INIT(.limit_bytes = 2 << 20);
	char whole[1024], part[8];
	struct quire *q;
	size_t bytes;

	(void)state;
	assert_int_equal(quire_create(&given, &q), 0);
	bytes = quire_text_options(q, whole, sizeof(whole));
	assert_int_equal(bytes, strlen(whole));
	assert_int_equal(quire_text_options(q, NULL, 0), bytes);
	assert_int_equal(quire_text_options(q, part, sizeof(part)), bytes);
	assert_string_equal(part, "limit:2");
	quire_destroy(q);
}

/* A signal handler may ask while the thread that it interrupts holds any lock. */
static void a_text_of_options_takes_no_lock(void **state)
{
	struct quire *q;
	char text[1024];

	(void)state;
	assert_int_equal(quire_create(NULL, &q), 0);
	mutex_acquire(&q->visit_mutex);
	mutex_acquire(&pages_of(q)->limit_mutex);
	assert_in_range(quire_text_options(q, text, sizeof(text)), 1, sizeof(text) - 1);
	mutex_release(&pages_of(q)->limit_mutex);
	mutex_release(&q->visit_mutex);
	quire_destroy(q);
}

static void the_documented_table_is_this_one(void **state)
{
	char table[4096], *page = read_source("docs/options.md");
	struct text text;

	(void)state;
	text_init(&text, table, sizeof(table));
	options_put_table(&text);
	assert_in_range(text.bytes, 1, sizeof(table) - 1);
	if (strstr(page, table) == NULL)
		fail_msg("docs/options.md does not hold this table:\n%s", table);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_empty_string_changes_nothing, begin),
		cmocka_unit_test_setup(every_key_sets_its_field, begin),
		cmocka_unit_test_setup(each_word_is_its_constant, begin),
		cmocka_unit_test_setup(only_the_named_field_changes, begin),
		cmocka_unit_test_setup(sizes_take_suffixes, begin),
		cmocka_unit_test_setup(words_are_read_whole, begin),
		cmocka_unit_test_setup(of_duplicates_the_last_wins, begin),
		cmocka_unit_test_setup(an_unknown_key_is_named_with_the_nearest, begin),
		cmocka_unit_test_setup(a_missing_option_is_named_by_its_place, begin),
		cmocka_unit_test_setup(a_missing_value_is_refused, begin),
		cmocka_unit_test_setup(a_number_out_of_range_names_the_nearest, begin),
		cmocka_unit_test_setup(bounds_are_inside, begin),
		cmocka_unit_test_setup(overflow_is_out_of_range, begin),
		cmocka_unit_test_setup(what_is_no_number_is_refused, begin),
		cmocka_unit_test_setup(a_late_error_undoes_what_came_before, begin),
		cmocka_unit_test_setup(the_error_is_one_short_line, begin),
		cmocka_unit_test_setup(a_small_error_buffer_is_not_overrun, begin),
		cmocka_unit_test_setup(a_list_of_cpus_ends_with_its_item, begin),
		cmocka_unit_test_setup(a_wrong_list_of_cpus_is_refused, begin),
		cmocka_unit_test_setup(a_list_of_cpus_may_use_commas_in_the_struct, begin),
		cmocka_unit_test_setup(check_passes_zeros, begin),
		cmocka_unit_test_setup(check_refuses_each_field_out_of_range, begin),
		cmocka_unit_test_setup(none_is_a_word_where_it_is_a_default, begin),
		cmocka_unit_test(what_is_used_makes_the_same_again),
		cmocka_unit_test(what_was_given_is_used),
		cmocka_unit_test(what_is_used_is_not_what_was_asked_for),
		cmocka_unit_test(what_malloc_looks_for_is_ignored_by_others),
		cmocka_unit_test(a_text_of_options_is_cut_to_fit),
		cmocka_unit_test(a_text_of_options_takes_no_lock),
		cmocka_unit_test_setup(the_documented_table_is_this_one, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
