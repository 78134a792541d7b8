/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include <quire/quire.h>

#include "base/text.h"

#define LINE_BYTES 256

/* Ends the line with where it was, and the process. */
static _Noreturn void die_with(struct text *text, struct quire_stop *stop, const char *more)
{
	text_put(text, " in ");
	text_put(text, stop->call);
	text_put(text, ", CPU ");
	text_put_u64(text, stop->cpu);
	text_put(text, "\n");
	text_put(text, more != NULL ? more : "");
	check_die(stop);
}

static struct quire_stop stop_for(enum quire_stop_cause cause, const char *rule,
				  const char *function, const char *line)
{
	return (struct quire_stop){ .struct_bytes = sizeof(struct quire_stop),
				    .cause = cause,
				    .rule = rule,
				    .call = function,
				    .line = line,
				    .cpu = check_cpu() };
}

void check_failed(const char *condition, const char *function)
{
	char line[LINE_BYTES];
	struct quire_stop stop = stop_for(QUIRE_STOP_BUG, condition, function, line);
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: bug: CHECK(");
	text_put(&text, condition);
	text_put(&text, ")");
	die_with(&text, &stop, NULL);
}

void check_failed_values(const char *condition, const char *function, uint64_t a, uint64_t b)
{
	char line[LINE_BYTES];
	struct quire_stop stop = stop_for(QUIRE_STOP_BUG, condition, function, line);
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: bug: CHECK(");
	text_put(&text, condition);
	text_put(&text, "): ");
	text_put_hex(&text, a);
	text_put(&text, ", ");
	text_put_hex(&text, b);
	die_with(&text, &stop, NULL);
}

void misuse_placed(const char *rule, const char *function, const void *addr,
		   const struct misuse_place *place)
{
	char line[LINE_BYTES + MISUSE_MORE_BYTES];
	struct quire_stop stop = stop_for(QUIRE_STOP_MISUSE, rule, function, line);
	struct text text;

	stop.address = addr;
	stop.detail = place->number;
	stop.detail_name = place->what;
	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: misuse: ");
	text_put(&text, rule);
	text_put(&text, ": address ");
	text_put_hex(&text, (uint64_t)(uintptr_t)addr);
	if (place->what != NULL) {
		text_put(&text, " (");
		text_put(&text, place->what);
		text_put(&text, " ");
		text_put_u64(&text, place->number);
		if (place->of != NULL) {
			text_put(&text, ", ");
			text_put(&text, place->of);
			text_put(&text, " ");
			text_put_u64(&text, place->of_number);
		}
		if (place->whole != NULL) {
			text_put(&text, ", ");
			text_put(&text, place->whole);
			text_put(&text, " ");
			text_put_hex(&text, (uint64_t)(uintptr_t)place->start);
		}
		text_put(&text, ")");
	}
	die_with(&text, &stop, place->more);
}

void misuse_number(const char *rule, const char *function, const void *addr, const char *what,
		   uint64_t number)
{
	const struct misuse_place place = { .what = what, .number = number };

	misuse_placed(rule, function, addr, &place);
}

void misuse(const char *rule, const char *function, const void *addr)
{
	misuse_number(rule, function, addr, NULL, 0);
}

quire_stop_fn quire_set_stop_hook(quire_stop_fn hook, void *arg, void **old_arg)
{
	struct check_hook old = check_set_hook((struct check_hook){ .call = hook, .arg = arg });

	if (old_arg != NULL)
		*old_arg = old.arg;
	return old.call;
}
