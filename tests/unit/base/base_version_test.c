/* SPDX-License-Identifier: MIT */
/* base_version_test - the version that the library says it has */
#include "quire_test.h"

#include <quire/quire.h>

static void the_version_is_that_of_the_headers(void **state)
{
	(void)state;
	assert_int_equal(quire_version(), QUIRE_VERSION);
}

/* Two digits of a decimal number for each part but the first, so that versions are compared as numbers are. */
static void later_versions_are_larger_numbers(void **state)
{
	(void)state;
	assert_int_equal(quire_version() / 10000, QUIRE_VERSION_MAJOR);
	assert_int_equal(quire_version() / 100 % 100, QUIRE_VERSION_MINOR);
	assert_int_equal(quire_version() % 100, QUIRE_VERSION_PATCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_that_of_the_headers),
		cmocka_unit_test(later_versions_are_larger_numbers),
	};

	return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
