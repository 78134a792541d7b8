/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include "base/text.h"

#define LINE_BYTES 256

static void die_with(struct text *text, const char *function)
{
	text_put(text, " in ");
	text_put(text, function);
	text_put(text, ", CPU ");
	text_put_u64(text, check_cpu());
	text_put(text, "\n");
}

static size_t stored(const struct text *text)
{
	return text->bytes < text->room_bytes ? text->bytes : text->room_bytes - 1;
}

void check_failed(const char *condition, const char *function)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: bug: CHECK(");
	text_put(&text, condition);
	text_put(&text, ")");
	die_with(&text, function);
	check_die(line, stored(&text));
}

void check_failed_values(const char *condition, const char *function, uint64_t a, uint64_t b)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: bug: CHECK(");
	text_put(&text, condition);
	text_put(&text, "): ");
	text_put_hex(&text, a);
	text_put(&text, ", ");
	text_put_hex(&text, b);
	die_with(&text, function);
	check_die(line, stored(&text));
}

void misuse(const char *rule, const char *function, const void *addr, uint64_t detail)
{
	char line[LINE_BYTES];
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: misuse: ");
	text_put(&text, rule);
	text_put(&text, ": address ");
	text_put_hex(&text, (uint64_t)(uintptr_t)addr);
	text_put(&text, " (");
	text_put_u64(&text, detail);
	text_put(&text, ")");
	die_with(&text, function);
	check_die(line, stored(&text));
}
