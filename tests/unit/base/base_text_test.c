/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include "base/text.h"

static char buffer[64];
static struct text text;

static int begin(void **state)
{
	(void)state;
	memset(buffer, 'x', sizeof(buffer));
	text_init(&text, buffer, sizeof(buffer));
	return 0;
}

static void a_new_text_is_empty(void **state)
{
	(void)state;
	assert_string_equal(buffer, "");
	assert_u64_eq(text.bytes, 0);
}

static void strings_follow_each_other(void **state)
{
	(void)state;
	text_put(&text, "one ");
	text_put(&text, "");
	text_put_bytes(&text, "two and more", 3);
	assert_string_equal(buffer, "one two");
	assert_u64_eq(text.bytes, 7);
}

static void numbers_are_decimal(void **state)
{
	(void)state;
	text_put_u64(&text, 0);
	text_put(&text, " ");
	text_put_u64(&text, 1090);
	text_put(&text, " ");
	text_put_u64(&text, UINT64_MAX);
	assert_string_equal(buffer, "0 1090 18446744073709551615");
}

static void numbers_align_right(void **state)
{
	(void)state;
	text_put_u64_width(&text, 7, 4);
	text_put_u64_width(&text, 12345, 4);
	text_put_u64_width(&text, 0, 1);
	assert_string_equal(buffer, "   7123450");
}

static void hexadecimals_have_no_leading_zeros(void **state)
{
	(void)state;
	text_put_hex(&text, 0);
	text_put(&text, " ");
	text_put_hex(&text, 0xa0b);
	text_put(&text, " ");
	text_put_hex(&text, UINT64_MAX);
	assert_string_equal(buffer, "0x0 0xa0b 0xffffffffffffffff");
}

static void strings_align_left(void **state)
{
	(void)state;
	text_put_width(&text, "ab", 4);
	text_put_width(&text, "cdefg", 4);
	text_put(&text, "|");
	assert_string_equal(buffer, "ab  cdefg|");
}

static void what_does_not_fit_is_counted_and_not_stored(void **state)
{
	(void)state;
	text_init(&text, buffer, 4);
	buffer[4] = 'y';
	text_put(&text, "abcdef");
	text_put_u64(&text, 12);
	assert_string_equal(buffer, "abc");
	assert_int_equal(buffer[4], 'y');
	assert_u64_eq(text.bytes, 8);
}

static void no_room_at_all_stores_nothing(void **state)
{
	(void)state;
	text_init(&text, buffer, 0);
	buffer[0] = 'y';
	text_put(&text, "abc");
	assert_int_equal(buffer[0], 'y');
	assert_u64_eq(text.bytes, 3);
}

static void a_line_ends_however_full_the_text_is(void **state)
{
	(void)state;
	for (unsigned bytes = 0; bytes < 8; bytes++) {
		static const char *const expected[] = { "\n", "a\n", "aa\n", "aaa\n" };

		text_init(&text, buffer, 5);
		buffer[5] = 'y';
		text_put_bytes(&text, "aaaaaaaa", bytes);
		text_end_line(&text);
		assert_string_equal(buffer, expected[bytes < 3 ? bytes : 3]);
		assert_int_equal(buffer[5], 'y');
		assert_u64_eq(text.bytes, strlen(buffer));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_new_text_is_empty, begin),
		cmocka_unit_test_setup(strings_follow_each_other, begin),
		cmocka_unit_test_setup(numbers_are_decimal, begin),
		cmocka_unit_test_setup(numbers_align_right, begin),
		cmocka_unit_test_setup(hexadecimals_have_no_leading_zeros, begin),
		cmocka_unit_test_setup(strings_align_left, begin),
		cmocka_unit_test_setup(what_does_not_fit_is_counted_and_not_stored, begin),
		cmocka_unit_test_setup(no_room_at_all_stores_nothing, begin),
		cmocka_unit_test_setup(a_line_ends_however_full_the_text_is, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
