/* SPDX-License-Identifier: MIT */
#include "record/segment.h"

#include <stddef.h>
#include <string.h>

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

/* Of whole words.  Four sums side by side, since one would wait for each of its multiplications. */
static uint64_t add_words(uint64_t seed, const void *bytes, size_t bytes_nr)
{
	uint64_t sum[4] = { seed, seed + 1, seed + 2, seed + 3 };
	const char *at = bytes;

	for (size_t i = 0; i < bytes_nr / sizeof(uint64_t); i++) {
		uint64_t word;

		memcpy(&word, at + i * sizeof(word), sizeof(word));
		sum[i % 4] = ((sum[i % 4] ^ word) * FACTOR) ^ (sum[i % 4] >> 31);
	}
	for (unsigned i = 1; i < 4; i++)
		sum[0] = (sum[0] ^ sum[i]) * FACTOR ^ sum[0] >> 29;
	return sum[0];
}

static uint64_t checksum(const struct recording_segment *head, const struct ring_event *events)
{
	const size_t begin = offsetof(struct recording_segment, process);
	uint64_t sum = add_words(0, (const char *)head + begin, sizeof(*head) - begin);

	return add_words(sum, events, head->events_nr * sizeof(*events));
}

void segment_seal(struct recording_segment *head, const struct ring_event *events)
{
	head->magic = RECORDING_SEGMENT_MAGIC;
	head->first_ns = UINT64_MAX;
	for (uint32_t i = 0; i < head->events_nr; i++)
		if (events[i].time_ns < head->first_ns)
			head->first_ns = events[i].time_ns;
	head->checksum = checksum(head, events);
}

bool segment_is_whole(const struct recording_segment *head, const struct ring_event *events)
{
	return head->magic == RECORDING_SEGMENT_MAGIC && head->events_nr <= RECORDING_SEGMENT_NR &&
	       head->checksum == checksum(head, events);
}
