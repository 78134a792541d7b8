/* SPDX-License-Identifier: MIT */
/* A rule's text is what docs/invariants.md says of it, and no other number has one. */
#include "quire_test.h"

#include <errno.h>

#include <quire/quire.h>

#define LABELS_END 1000
#define NO_RULE	   "no such rule"

static bool is_documented[LABELS_END];

/* The label of a row "| B1 | what holds | checked by |", with what holds in @text; 0 if @line is none. */
static int read_row(const char *line, char *text, size_t bytes)
{
	static const char letters[] = " BVPC"; /* in the order of their hundreds */
	size_t length = 0;
	char letter = 0;
	int n, start = 0;

	if (sscanf(line, "| %c%d | %n", &letter, &n, &start) != 2 || start == 0 ||
	    strchr(letters, letter) == NULL)
		return 0;
	for (const char *at = line + start; strncmp(at, " | ", 3) != 0; at++) {
		assert_true(*at != '\0' && length + 1 < bytes);
		if (*at != '`')
			text[length++] = *at;
	}
	text[length] = '\0';
	return 100 * (int)(strchr(letters, letter) - letters) + n;
}

static void check_row(const char *line)
{
	char text[512];
	int label = read_row(line, text, sizeof(text));

	if (label == 0)
		return;
	assert_in_range(label, 1, LABELS_END - 1);
	assert_string_equal(quire_rule_text(label), text);
	is_documented[label] = true;
}

static void each_rule_reads_as_in_the_document(void **state)
{
	char *document = read_source("docs/invariants.md"), *rest = document, *line;
	unsigned documented_nr = 0;

	(void)state;
	while ((line = strsep(&rest, "\n")) != NULL)
		check_row(line);
	for (int label = 0; label < LABELS_END; label++) {
		documented_nr += is_documented[label];
		if (!is_documented[label])
			assert_string_equal(quire_rule_text(label), NO_RULE);
	}
	assert_true(documented_nr > 30);
	free(document);
}

/* quire_verify() may return an error too, where an instance cannot be used. */
static void no_rule_has_a_negative_number(void **state)
{
	(void)state;
	assert_string_equal(quire_rule_text(-EOWNERDEAD), NO_RULE);
	assert_string_equal(quire_rule_text(-101), NO_RULE);
	assert_string_equal(quire_rule_text(INT32_MIN), NO_RULE);
	assert_string_equal(quire_rule_text(INT32_MAX), NO_RULE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_reads_as_in_the_document),
		cmocka_unit_test(no_rule_has_a_negative_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
