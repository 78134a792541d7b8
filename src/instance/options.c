/* SPDX-License-Identifier: MIT */
/*
 * instance/options.c - options from a string, and their ranges
 *
 * Words
 *   item    one "key:value"; items are separated by commas
 *   span    a part of the text, not ended by a NUL
 *   kind    how a value is written: a size, a number, a word, a list of CPUs
 *
 * A module's table says everything about a key: its name, kind, field, range, and the words of the
 * documentation.  The tables are found by the list of modules (kind.h).
 *
 * Parsing works on a copy, which is stored only when the whole text was right.  The first wrong
 * item is reported with its place in the text, counted from 1, and with the nearest right spelling:
 * the fewest letters to insert, delete or replace.  Of equally near ones the first in the table.
 *
 * A number that is 0 would silently mean the default, so 0 is refused; leave the key out instead.
 * A key given twice keeps its last value: programs append to what the environment holds.
 */
#include "instance/options.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/sized.h"

/* The error line stays one line, whatever the environment holds. */
static void put_quoted(struct text *text, struct span span)
{
	size_t bytes =
		span.bytes > OPTION_SPELLING_BYTES_MAX ? OPTION_SPELLING_BYTES_MAX : span.bytes;

	text_put(text, "\"");
	for (size_t i = 0; i < bytes; i++) {
		bool plain = span.start[i] >= ' ' && span.start[i] <= '~';

		text_put_bytes(text, plain ? &span.start[i] : "?", 1);
	}
	text_put(text, span.bytes > OPTION_SPELLING_BYTES_MAX ? "...\"" : "\"");
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits; stops at UINT64_MAX.  Returns how many characters it read. */
static size_t read_digits(struct span span, uint64_t *value)
{
	size_t i = 0;

	*value = 0;
	for (; i < span.bytes && is_digit(span.start[i]); i++) {
		uint64_t digit = (uint64_t)(span.start[i] - '0');

		*value = *value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *value * 10 + digit;
	}
	return i;
}

/* Bits that a suffix shifts by, or -1: k 10, M 20, x -1. */
static int suffix_shift(char c)
{
	switch (c) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	case 't':
	case 'T':
		return 40;
	default:
		return -1;
	}
}

/* True if the span is a number of the kind; too large ones become UINT64_MAX. */
static bool read_number(struct span span, enum option_kind kind, uint64_t *value)
{
	size_t digits_nr = read_digits(span, value);
	int shift;

	if (digits_nr == 0)
		return false;
	if (digits_nr == span.bytes)
		return true;
	if (kind != OPTION_SIZE || digits_nr + 1 != span.bytes)
		return false;
	shift = suffix_shift(span.start[digits_nr]);
	if (shift < 0)
		return false;
	*value = *value > UINT64_MAX >> shift ? UINT64_MAX : *value << shift;
	return true;
}

void option_put_number(struct text *text, enum option_kind kind, uint64_t value)
{
	static const char suffixes[] = "\0kmgt";
	unsigned i = 0;

	while (kind == OPTION_SIZE && i < 4 && value != 0 && value % 1024 == 0) {
		value /= 1024;
		i++;
	}
	text_put_u64(text, value);
	text_put_bytes(text, &suffixes[i], i != 0);
}

static bool number_in_range(const struct option_key *key, uint64_t value)
{
	return value >= key->min && value <= key->max;
}

struct parse {
	const char *text; /* the whole text: places are counted from here */
	struct text error;
};

/* Places are counted from 1. */
static void put_place(struct parse *parse, struct span span)
{
	text_put(&parse->error, " at ");
	text_put_u64(&parse->error, (uint64_t)(span.start - parse->text) + 1);
}

/* Explains why sized_read() or sized_return() refused a caller's struct of another version. */
static int refuse_struct(struct parse *parse, int result)
{
	text_put(&parse->error, result == -E2BIG ? "quire: the program and the library are of "
						   "versions with different options"
						 : "quire: struct_bytes of the options is not set");
	return result;
}

static int refuse_empty(struct parse *parse, struct span span)
{
	text_put(&parse->error, "quire: option missing");
	put_place(parse, span);
	text_put(&parse->error, ": expected key:value");
	return -EINVAL;
}

static int refuse_key(struct parse *parse, struct span span)
{
	text_put(&parse->error, "quire: unknown option ");
	put_quoted(&parse->error, span);
	put_place(parse, span);
	text_put(&parse->error, ": did you mean \"");
	text_put(&parse->error, option_key_nearest(span)->name);
	text_put(&parse->error, "\"?");
	return -EINVAL;
}

static int refuse_value(struct parse *parse, const struct option_key *key, struct span span)
{
	struct text *error = &parse->error;
	uint64_t value;

	text_put(error, "quire: bad value ");
	put_quoted(error, span);
	text_put(error, " for option \"");
	text_put(error, key->name);
	text_put(error, "\"");
	put_place(parse, span);
	text_put(error, ": expected ");
	text_put(error, key->takes);
	if (key->kind == OPTION_WORD) {
		text_put(error, "; did you mean \"");
		text_put(error, option_word_nearest(key, span));
		text_put(error, "\"?");
	} else if (key->kind != OPTION_CPUS && read_number(span, key->kind, &value)) {
		text_put(error, "; the nearest is ");
		option_put_number(error, key->kind, value < key->min ? key->min : key->max);
	}
	return -EINVAL;
}

static void store(const struct option_key *key, struct quire_options *options, const void *value,
		  size_t bytes)
{
	memcpy((char *)options + key->offset, value, bytes);
}

static int parse_number(struct parse *parse, const struct option_key *key, struct span span,
			struct quire_options *options)
{
	uint64_t value;
	uint32_t value32;

	if (!read_number(span, key->kind, &value) || !number_in_range(key, value))
		return refuse_value(parse, key, span);
	value32 = (uint32_t)value;
	if (key->kind == OPTION_SIZE)
		store(key, options, &value, sizeof(value));
	else
		store(key, options, &value32, sizeof(value32));
	return 0;
}

static int parse_word(struct parse *parse, const struct option_key *key, struct span span,
		      struct quire_options *options)
{
	uint32_t value;

	if (!option_word_find(key, span, &value))
		return refuse_value(parse, key, span);
	store(key, options, &value, sizeof(value));
	return 0;
}

/* In an option a list is joined by '+', so it ends where its item ends. */
static int parse_cpus(struct parse *parse, const struct option_key *key, struct span span,
		      struct quire_options *options)
{
	static const char *const none;
	char next = span.start[span.bytes];

	if (span_is(span, "none")) {
		store(key, options, &none, sizeof(none));
		return 0;
	}
	if (options_cpu_list(span.start, NULL, 0) != 0)
		return refuse_value(parse, key, span);
	/* "isolated:2,8": no key begins with a digit, and options_cpu_list() would read on. */
	if (next == ',' && is_digit(span.start[span.bytes + 1]))
		return refuse_value(parse, key, span);
	store(key, options, &span.start, sizeof(span.start));
	return 0;
}

static int parse_item(struct parse *parse, struct span item, struct quire_options *options)
{
	struct span name = { .start = item.start };
	struct span value;
	const struct option_key *key;

	if (item.bytes == 0)
		return refuse_empty(parse, item);
	while (name.bytes < item.bytes && name.start[name.bytes] != ':')
		name.bytes++;
	key = option_key_find(name);
	if (key == NULL)
		return refuse_key(parse, name);
	value = (struct span){ .start = name.start + name.bytes };
	if (name.bytes < item.bytes)
		value.start++;
	value.bytes = (size_t)(item.start + item.bytes - value.start);
	switch (key->kind) {
	case OPTION_SIZE:
	case OPTION_NUMBER:
		return parse_number(parse, key, value, options);
	case OPTION_WORD:
		return parse_word(parse, key, value, options);
	case OPTION_CPUS:
		break;
	}
	return parse_cpus(parse, key, value, options);
}

int quire_options_parse(const char *text, struct quire_options *options, char *error,
			size_t error_bytes)
{
	struct parse parse = { .text = text };
	struct span item = { .start = text };
	struct quire_options parsed;
	int result;

	result = sized_read(&parsed, sizeof(parsed), options);
	if (result == 0 && *text == '\0')
		return 0;
	text_init(&parse.error, error, error_bytes);
	if (result != 0)
		return refuse_struct(&parse, result);
	for (;;) {
		item.bytes = 0;
		while (item.start[item.bytes] != '\0' && item.start[item.bytes] != ',')
			item.bytes++;
		result = parse_item(&parse, item, &parsed);
		if (result != 0)
			return result;
		if (item.start[item.bytes] == '\0')
			break;
		item.start += item.bytes + 1;
	}
	result = sized_return(options, &parsed, sizeof(parsed));
	return result != 0 ? refuse_struct(&parse, result) : 0;
}

/* Reads one CPU number at *@list and advances *@list past it. */
static int read_cpu(const char **list, unsigned *cpu)
{
	struct span span = { .start = *list };
	uint64_t value;

	while (is_digit(span.start[span.bytes]))
		span.bytes++;
	if (read_digits(span, &value) == 0 || value >= OPTIONS_CPUS_MAX)
		return -EINVAL;
	*list += span.bytes;
	*cpu = (unsigned)value;
	return 0;
}

/* Reads "4" or "2-5" at *@list and advances *@list past it. */
static int read_cpu_range(const char **list, unsigned *first, unsigned *last)
{
	if (read_cpu(list, first) != 0)
		return -EINVAL;
	*last = *first;
	if (**list == '-') {
		++*list;
		if (read_cpu(list, last) != 0 || *last < *first)
			return -EINVAL;
	}
	return 0;
}

int options_cpu_list(const char *list, uint64_t *bits, unsigned bits_nr)
{
	for (;;) {
		unsigned first, last;

		if (read_cpu_range(&list, &first, &last) != 0)
			return -EINVAL;
		for (unsigned cpu = first; cpu <= last && cpu < bits_nr; cpu++)
			bits[cpu / 64] |= (uint64_t)1 << cpu % 64;
		if (*list == '\0' || (*list == ',' && !is_digit(list[1])))
			return 0;
		if (*list != '+' && *list != ',')
			return -EINVAL;
		list++;
	}
}

uint64_t option_number(const struct option_key *key, const struct quire_options *options)
{
	const char *field = (const char *)options + key->offset;
	uint64_t value;
	uint32_t value32;

	if (key->kind == OPTION_SIZE) {
		memcpy(&value, field, sizeof(value));
		return value;
	}
	memcpy(&value32, field, sizeof(value32));
	return value32;
}

static bool field_is_right(const struct option_key *key, const struct quire_options *options)
{
	uint64_t value;

	if (key->kind == OPTION_CPUS)
		return options->isolated == NULL ||
		       options_cpu_list(options->isolated, NULL, 0) == 0;
	value = option_number(key, options);
	if (value == 0)
		return true;
	if (key->kind != OPTION_WORD)
		return number_in_range(key, value);
	for (unsigned i = 0; key->words[i] != NULL; i++) {
		if (value == option_word_number(key, i))
			return true;
	}
	return false;
}

int quire_options_check(const struct quire_options *options)
{
	const struct option_key *key;

	for (unsigned i = 0; (key = option_key_at(i)) != NULL; i++) {
		if (!field_is_right(key, options))
			return -EINVAL;
	}
	return 0;
}
