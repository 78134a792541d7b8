/* SPDX-License-Identifier: MIT */
#include "machine/linux/cpulist.h"

#include <stddef.h>

/* No Linux has more CPUs; it also keeps the sums below from overflowing. */
#define CPUS_LIMIT 65536u

/* Reads a number.  Returns its end, or NULL if there is no number. */
static const char *read_number(const char *at, unsigned *number)
{
	const char *start = at;

	for (*number = 0; *at >= '0' && *at <= '9' && *number < CPUS_LIMIT; at++)
		*number = *number * 10 + (unsigned)(*at - '0');
	return at == start ? NULL : at;
}

/* Reads "n" or "n-m".  Returns the beginning of the next item, or NULL at the end of the list. */
static const char *read_span(const char *at, unsigned *first, unsigned *last)
{
	at = read_number(at, first);
	if (at == NULL)
		return NULL;
	*last = *first;
	if (*at == '-')
		at = read_number(at + 1, last);
	if (at != NULL && *at == ',')
		at++;
	return at;
}

unsigned cpulist_end(const char *text)
{
	unsigned first, last, end = 0;

	while ((text = read_span(text, &first, &last)) != NULL) {
		if (last >= end)
			end = last + 1;
	}
	return end;
}

bool cpulist_has(const char *text, unsigned cpu)
{
	unsigned first, last;

	while ((text = read_span(text, &first, &last)) != NULL) {
		if (first <= cpu && cpu <= last)
			return true;
	}
	return false;
}
