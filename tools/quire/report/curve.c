/* SPDX-License-Identifier: MIT */
#include "report/curve.h"

#include <stdlib.h>

struct curve *curve_new(double seconds)
{
	struct curve *curve = calloc(1, sizeof(*curve));

	if (curve != NULL)
		curve->seconds = seconds;
	return curve;
}

unsigned time_part(double seconds, double all_seconds, unsigned parts_nr)
{
	double share = all_seconds > 0 ? seconds / all_seconds : 0;

	if (!(share > 0))
		return 0;
	return share >= 1 ? parts_nr - 1 : (unsigned)(share * parts_nr);
}

/* The buckets up to this one keep the last value. */
static void hold(struct curve *curve, unsigned bucket)
{
	while (curve->at < bucket) {
		curve->at++;
		curve->min[curve->at] = curve->max[curve->at] = (float)curve->last;
	}
}

void curve_put(struct curve *curve, double seconds, double value)
{
	unsigned bucket = time_part(seconds, curve->seconds, CURVE_BUCKETS);

	if (!curve->has_begun) {
		curve->has_begun = true;
		curve->first = curve->at = bucket;
		curve->min[bucket] = curve->max[bucket] = (float)value;
		curve->peak = value;
		curve->peak_seconds = seconds;
	}
	hold(curve, bucket);
	if ((float)value < curve->min[curve->at])
		curve->min[curve->at] = (float)value;
	if ((float)value > curve->max[curve->at])
		curve->max[curve->at] = (float)value;
	if (value > curve->peak) {
		curve->peak = value;
		curve->peak_seconds = seconds;
	}
	curve->last = value;
}

void curve_end(struct curve *curve)
{
	if (curve->has_begun)
		hold(curve, CURVE_BUCKETS - 1);
}

void curves_end(struct curve *const *curves, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (curves[i] != NULL)
			curve_end(curves[i]);
}

void curve_range(const struct curve *curve, unsigned bucket, unsigned nr, float *min, float *max)
{
	unsigned first = bucket < curve->first ? curve->first : bucket;

	*min = curve->min[first];
	*max = curve->max[first];
	for (unsigned i = first + 1; i < bucket + nr && i <= curve->at; i++) {
		if (curve->min[i] < *min)
			*min = curve->min[i];
		if (curve->max[i] > *max)
			*max = curve->max[i];
	}
}
