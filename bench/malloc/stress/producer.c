/* SPDX-License-Identifier: MIT */
/* producer.c - one thread makes messages of a header and three parts, another reads and frees them */
#include "malloc/stress/shape.h"

#define MESSAGES_NR 4000000u
#define PARTS_NR    3u

struct message {
	uint32_t number;
	uint32_t bytes[PARTS_NR];
	char *parts[PARTS_NR];
};

static struct shape_queue queue;

static struct message *message_make(uint64_t *random, uint32_t number)
{
	struct message *message = shape_alloc(sizeof(*message));

	message->number = number;
	for (unsigned i = 0; i < PARTS_NR; i++) {
		message->bytes[i] = 16 + random_below(random, 240);
		message->parts[i] = shape_alloc(message->bytes[i]);
		shape_mark(message->parts[i], message->bytes[i], number + i);
	}
	return message;
}

static void message_read(struct message *message, uint32_t number)
{
	if (message->number != number)
		shape_refuse("a message is not what was written");
	for (unsigned i = 0; i < PARTS_NR; i++) {
		shape_check(message->parts[i], message->bytes[i], number + i);
		free(message->parts[i]);
	}
	free(message);
}

static void *thread_main(void *arg)
{
	uint64_t random = 1;

	for (uint32_t i = 0; i < MESSAGES_NR; i++) {
		if (arg == NULL)
			shape_put(&queue, message_make(&random, i));
		else
			message_read(shape_take(&queue), i);
	}
	return NULL;
}

void shape_producer(void)
{
	shape_start(2, thread_main);
}
