/* SPDX-License-Identifier: MIT */
#include "run/figures_print.h"

#include <inttypes.h>
#include <string.h>

/* Sizes that are named: those that hold most. */
#define SIZES_NR 4

char *bytes_text(char text[BYTES_TEXT], uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 999.5 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(text, BYTES_TEXT, "%.*f %s",
		 unit == 0 || value >= 99.95 ? 0
		 : value >= 9.995	     ? 1
					     : 2,
		 value, units[unit]);
	return text;
}

/* 1234567 -> "1,234,567". */
static char *number_text(char text[32], uint64_t number)
{
	char digits[24];
	int nr = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	char *at = text;

	for (int i = 0; i < nr; i++) {
		if (i > 0 && (nr - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = '\0';
	return text;
}

/* 10 -> "1 KiB", 19 -> "512 KiB". */
static void print_power(FILE *file, unsigned shift)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

	fprintf(file, "%u %s", 1u << shift % 10, units[shift / 10]);
}

/* "64 bytes", "32 KiB to 64 KiB". */
static void print_row(FILE *file, const struct figures *figures, unsigned row)
{
	if (row < REPORT_CLASSES_NR) {
		fprintf(file, "%" PRIu32 " bytes", figures->class_bytes[row]);
		return;
	}
	print_power(file, row - REPORT_CLASSES_NR);
	if (row + 1 < REPORT_ROWS_NR) {
		fprintf(file, " to ");
		print_power(file, row - REPORT_CLASSES_NR + 1);
	}
}

static void print_sizes(FILE *file, const struct figures *figures)
{
	struct rows left = figures->peak;
	const char *before = "";

	fprintf(file, "quire: most at the peak was in blocks of ");
	for (unsigned i = 0; i < SIZES_NR; i++) {
		unsigned most = 0;

		for (unsigned row = 0; row < REPORT_ROWS_NR; row++)
			if (left.row_bytes[row] > left.row_bytes[most])
				most = row;
		if (left.row_bytes[most] <= 0)
			break;
		fprintf(file, "%s", before);
		print_row(file, figures, most);
		fprintf(file, " (%.0f %%)",
			100 * (double)left.row_bytes[most] / (double)figures->peak.bytes);
		left.row_bytes[most] = 0;
		before = ", ";
	}
	fprintf(file, "%s\n", before[0] == '\0' ? "no size" : "");
}

static uint64_t positive(int64_t bytes)
{
	return bytes > 0 ? (uint64_t)bytes : 0;
}

void figures_print(FILE *file, const struct figures *figures)
{
	double slow = figures->calls_nr > 0
			      ? 100 * (double)figures->slow_nr / (double)figures->calls_nr
			      : 0;
	char a[BYTES_TEXT], b[BYTES_TEXT], calls[32];

	fprintf(file, "quire: in use %s at the peak, %s at the end\n",
		bytes_text(a, positive(figures->peak.bytes)),
		bytes_text(b, positive(figures->used.bytes)));
	fprintf(file, "quire: resident %s at the peak, %s at the end\n",
		bytes_text(a, figures->resident_peak_bytes),
		bytes_text(b, figures->resident_bytes));
	fprintf(file, "quire: %s calls, of which %.2f %% left the fast path; %s given back\n",
		number_text(calls, figures->calls_nr), slow,
		bytes_text(a, figures->given_back_bytes));
	print_sizes(file, figures);
	if (figures->uncounted_nr != 0)
		fprintf(file, "quire: %" PRIu64 " processes were too many at once to be counted\n",
			figures->uncounted_nr);
}
