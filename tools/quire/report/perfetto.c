/* SPDX-License-Identifier: MIT */
/*
 * perfetto.c - a time line for ui.perfetto.dev and trace_processor: TrackEvent packets as protobuf
 *
 * A source is a track, its curves are counters below it, and its marks are instants on it.  Only what is written here
 * of the format is needed: a message is its fields, each a number and a kind; those of kind 0 are varints, those of kind 2 a
 * length and bytes.
 */
#include <string.h>

#include "report/draw.h"

/* Numbers of the fields: protos/perfetto/trace of Perfetto. */
enum {
	TRACE_PACKET = 1,
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE = 10,
	PACKET_EVENT = 11,
	PACKET_DESCRIPTOR = 60,
	DESCRIPTOR_UUID = 1,
	DESCRIPTOR_NAME = 2,
	DESCRIPTOR_PARENT = 5,
	DESCRIPTOR_COUNTER = 8,
	COUNTER_UNIT = 3,
	EVENT_TYPE = 9,
	EVENT_TRACK = 11,
	EVENT_NAME = 23,
	EVENT_VALUE = 30,
};

enum {
	UNIT_COUNT = 2,
	UNIT_SIZE_BYTES = 3
};
enum {
	TYPE_INSTANT = 3,
	TYPE_COUNTER = 4
};

/* Names of tracks are the longest there is. */
#define MESSAGE_ROOM 512u
#define POINTS_NR    4096u
#define SEQUENCE     1

struct message {
	size_t bytes;
	char text[MESSAGE_ROOM];
};

static void put_varint(struct message *message, uint64_t value)
{
	do {
		char byte = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

		if (message->bytes < MESSAGE_ROOM)
			message->text[message->bytes++] = byte;
		value >>= 7;
	} while (value > 0);
}

static void put_number(struct message *message, unsigned field, uint64_t value)
{
	put_varint(message, field << 3);
	put_varint(message, value);
}

static void put_bytes(struct message *message, unsigned field, const char *text, size_t bytes)
{
	put_varint(message, field << 3 | 2);
	put_varint(message, bytes);
	if (bytes <= MESSAGE_ROOM - message->bytes) {
		memcpy(message->text + message->bytes, text, bytes);
		message->bytes += bytes;
	}
}

static void put_packet(FILE *file, struct message *packet)
{
	struct message head = { .bytes = 0 };

	put_number(packet, PACKET_SEQUENCE, SEQUENCE);
	put_varint(&head, TRACE_PACKET << 3 | 2);
	put_varint(&head, packet->bytes);
	fwrite(head.text, 1, head.bytes, file);
	fwrite(packet->text, 1, packet->bytes, file);
}

static void put_track(FILE *file, uint64_t uuid, uint64_t parent, const char *name, unsigned unit)
{
	struct message packet = { .bytes = 0 }, descriptor = { .bytes = 0 },
		       counter = { .bytes = 0 };

	put_number(&descriptor, DESCRIPTOR_UUID, uuid);
	put_bytes(&descriptor, DESCRIPTOR_NAME, name, strlen(name));
	if (parent != 0) {
		put_number(&descriptor, DESCRIPTOR_PARENT, parent);
		put_number(&counter, COUNTER_UNIT, unit);
		put_bytes(&descriptor, DESCRIPTOR_COUNTER, counter.text, counter.bytes);
	}
	put_bytes(&packet, PACKET_DESCRIPTOR, descriptor.text, descriptor.bytes);
	put_packet(file, &packet);
}

static void put_event(FILE *file, double seconds, const struct message *event)
{
	struct message packet = { .bytes = 0 };

	put_number(&packet, PACKET_TIMESTAMP, (uint64_t)(seconds * 1e9));
	put_bytes(&packet, PACKET_EVENT, event->text, event->bytes);
	put_packet(file, &packet);
}

static void put_value(FILE *file, uint64_t uuid, double seconds, double value)
{
	struct message event = { .bytes = 0 };

	put_number(&event, EVENT_TYPE, TYPE_COUNTER);
	put_number(&event, EVENT_TRACK, uuid);
	put_number(&event, EVENT_VALUE, (uint64_t)value);
	put_event(file, seconds, &event);
}

/* The least and the most of each part of the time that has a change. */
static void put_curve(FILE *file, uint64_t uuid, const struct curve *curve)
{
	unsigned nr = CURVE_BUCKETS / POINTS_NR;
	float before = -1, least, most;

	for (unsigned i = curve->first / nr * nr; i <= curve->at; i += nr) {
		double seconds = curve->seconds * i / CURVE_BUCKETS;

		curve_range(curve, i, nr, &least, &most);
		if (least != before)
			put_value(file, uuid, seconds, (double)least);
		if (most != least)
			put_value(file, uuid, seconds + curve->seconds * nr / CURVE_BUCKETS / 2,
				  (double)most);
		before = most;
	}
	put_value(file, uuid, curve->seconds, curve->last);
}

static void put_orders(FILE *file, uint64_t parent, uint64_t *uuid, struct curve *const *orders,
		       const char *who)
{
	char name[64];

	for (unsigned order = 0; order < ORDERS_NR; order++) {
		if (orders[order] == NULL || !orders[order]->has_begun)
			continue;
		snprintf(name, sizeof(name), "%s: free blocks of order %u", who, order);
		put_track(file, ++*uuid, parent, name, UNIT_COUNT);
		put_curve(file, *uuid, orders[order]);
	}
}

static void put_source(FILE *file, const struct source *source, uint64_t *uuid)
{
	uint64_t parent = ++*uuid;
	char name[192];

	snprintf(name, sizeof(name), "%c: %s", source->letter, source->name);
	put_track(file, parent, 0, name, 0);
	for (unsigned i = 0; i < source->marks_nr; i++) {
		struct message event = { .bytes = 0 };

		put_number(&event, EVENT_TYPE, TYPE_INSTANT);
		put_number(&event, EVENT_TRACK, parent);
		put_bytes(&event, EVENT_NAME, source->marks[i].name, strlen(source->marks[i].name));
		put_event(file, source->marks[i].seconds, &event);
	}
	for (unsigned i = 0; i < source->modules_nr; i++)
		for (unsigned key = 0; key < CURVE_KEYS_NR; key++) {
			const struct module *module = &source->modules[i];

			if (!module_has(module, (enum curve_key)key))
				continue;
			snprintf(name, sizeof(name), "%s: %s", module->name,
				 curve_words(module, (enum curve_key)key));
			put_track(file, ++*uuid, parent, name, UNIT_SIZE_BYTES);
			put_curve(file, *uuid, module->curves[key]);
		}
	put_orders(file, parent, uuid, source->linux_orders, "Linux");
	put_orders(file, parent, uuid, source->quire_orders, "Quire");
}

void report_write_perfetto(FILE *file, const struct report *report)
{
	uint64_t uuid = 0;

	for (unsigned i = 0; i < report->sources_nr; i++)
		put_source(file, &report->sources[i], &uuid);
}
