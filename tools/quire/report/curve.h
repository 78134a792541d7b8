/* SPDX-License-Identifier: MIT */
/*
 * curve.h - a value over time, kept as the least and the most in each of a fixed number of buckets
 *
 * A curve takes as much memory, and as much room on a page, for a minute as for a second of events.  A value
 * holds until the next one, so a bucket also has the value that it began with.
 */
#ifndef QUIRE_TOOL_REPORT_CURVE_H
#define QUIRE_TOOL_REPORT_CURVE_H

#include <stdbool.h>

/* A page is about 1,000 pixels wide and shows the whole, a fourth and a sixteenth of the time. */
#define CURVE_BUCKETS (1024u << 4)

struct curve {
	double seconds; /* that the buckets cover */
	float min[CURVE_BUCKETS], max[CURVE_BUCKETS];
	unsigned first, at; /* buckets that have something: from the first put to the last */
	bool has_begun;
	double last, peak, peak_seconds;
};

/* NULL without memory.  Pair: free(). */
struct curve *curve_new(double seconds);
/* In order of time. */
void curve_put(struct curve *curve, double seconds, double value);
/* The last value holds to the end of the time. */
void curve_end(struct curve *curve);
/* Each of an array that is not NULL. */
void curves_end(struct curve *const *curves, unsigned nr);
/* Which of @parts_nr equal parts of @all_seconds a time is in: always one of them. */
unsigned time_part(double seconds, double all_seconds, unsigned parts_nr);
/* The least and the most of those of @nr buckets from @bucket on that have something: at least one does. */
void curve_range(const struct curve *curve, unsigned bucket, unsigned nr, float *min, float *max);

#endif
