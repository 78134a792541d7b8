/* SPDX-License-Identifier: MIT */
/*
 * queue.c - asymmetric queues: one thread allocates bursts of requests, the other keeps a window of
 * them and answers, and the first frees the answers
 */
#include "malloc/stress/shape.h"

#define BURSTS_NR 12000u
#define BURST_NR  300u
#define WINDOW_NR 40000u
#define ANSWER	  256u

static struct shape_queue requests, answers;

static size_t request_bytes(uint32_t number)
{
	return 32 + number * 2654435761u % 2016;
}

static void answers_free(void)
{
	for (unsigned i = 0; i < BURST_NR; i++) {
		char *answer = shape_take(&answers);

		shape_check(answer, ANSWER, i);
		free(answer);
	}
}

static void client_run(void)
{
	uint32_t number = 0;

	for (unsigned burst = 0; burst < BURSTS_NR; burst++) {
		for (unsigned i = 0; i < BURST_NR; i++, number++) {
			char *request = shape_alloc(request_bytes(number));

			shape_mark(request, request_bytes(number), number);
			shape_put(&requests, request);
		}
		answers_free();
	}
}

static void server_run(void)
{
	static char *window[WINDOW_NR];

	for (uint32_t number = 0; number < BURSTS_NR * BURST_NR; number++) {
		char **at = &window[number % WINDOW_NR];
		char *answer = shape_alloc(ANSWER);

		if (number >= WINDOW_NR) {
			shape_check(*at, request_bytes(number - WINDOW_NR), number - WINDOW_NR);
			free(*at);
		}
		*at = shape_take(&requests);
		shape_mark(answer, ANSWER, number % BURST_NR);
		shape_put(&answers, answer);
	}
}

static void *thread_main(void *arg)
{
	if (arg == NULL)
		client_run();
	else
		server_run();
	return NULL;
}

void shape_queue(void)
{
	shape_start(2, thread_main);
}
