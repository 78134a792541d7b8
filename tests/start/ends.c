/* SPDX-License-Identifier: MIT */
/*
 * ends.c WAY - a program that ends while its threads are in the middle of calls: run by ends_test.c
 *
 * Two threads count, allocate and free, the worker gives back, and then the program ends in the way
 * that its argument names.  A handler of atexit() and a destructor take a while and use everything
 * too.  Status 0 is what a correct end gives; a way that exits gives what the handlers found.
 */
#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <quire/vmap.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

QUIRE_DEFINE_PER_CPU(long, hits) = 5;
QUIRE_DEFINE_PER_CPU(long, ends) = 1;

enum {
	REFUSED_AT_END = 3,
	LOST_AT_END = 4,
};

static bool from_handler;

static void nap_us(unsigned us)
{
	usleep(us);
}

static void use(unsigned round)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, round % 4, 0);
	void *area = quire_vmalloc(q, 20000 + round % 8 * 4096, 0);
	long *object = quire_alloc_percpu(q, 64, 0, 0);

	quire_this_cpu_inc(hits);
	/* Of a handler that interrupted a call, the destructors run inside that call. */
	if (!from_handler && (page == NULL || area == NULL || object == NULL))
		_exit(REFUSED_AT_END);
	if (page != NULL)
		quire_free_pages(q, page, round % 4);
	quire_vfree(q, area);
	quire_free_percpu(q, object);
}

static void *use_for_ever(void *arg)
{
	for (unsigned i = 0;; i++)
		use(i);
	return arg;
}

/* All run with the threads running: as a handler of atexit(), and as destructors from first to last. */
static void late(void)
{
	quire_this_cpu_inc(ends);
	use(7);
	nap_us(500);
}

__attribute__((destructor(65535))) static void first_of_destructors(void)
{
	late();
}

__attribute__((destructor)) static void ordinary_destructor(void)
{
	late();
}

__attribute__((destructor(101))) static void last_of_destructors(void)
{
	late();
	if (quire_per_cpu_sum(ends) != 4 + (long)quire_percpu_units(quire_default()))
		_exit(LOST_AT_END);
}

static void *end_in_thread(void *arg)
{
	exit(0);
	return arg;
}

static void end_in_handler(int signal_nr)
{
	(void)signal_nr;
	from_handler = true;
	exit(0);
}

static void abort_in_handler(int signal_nr)
{
	(void)signal_nr;
	abort();
}

static void use_until(void (*handler)(int signal_nr))
{
	const struct itimerval soon = { .it_value = { .tv_usec = 300 } };

	signal(SIGALRM, handler);
	setitimer(ITIMER_REAL, &soon, NULL);
	(void)use_for_ever(NULL);
}

static void end(const char *way)
{
	pthread_t thread;

	if (strcmp(way, "exit") == 0)
		exit(0);
	if (strcmp(way, "thread") == 0) {
		pthread_create(&thread, NULL, end_in_thread, NULL);
		pthread_join(thread, NULL);
	}
	if (strcmp(way, "handler") == 0)
		use_until(end_in_handler);
	if (strcmp(way, "abort") == 0)
		use_until(abort_in_handler);
	if (strcmp(way, "quick") == 0)
		quick_exit(0);
	if (strcmp(way, "at_once") == 0)
		_exit(0);
}

int main(int argc, char **argv)
{
	bool alone = argc > 1 && strcmp(argv[1], "destroy") == 0;
	pthread_t thread;

	atexit(late);
	for (unsigned i = 0; i < 2 && !alone; i++) {
		pthread_create(&thread, NULL, use_for_ever, NULL);
		pthread_detach(thread);
	}
	for (unsigned i = 0; i < 20; i++)
		use(i);
	nap_us(1000);
	end(argc > 1 ? argv[1] : "return");
	if (alone) /* what lives on does so in a new one, with what it holds */
		quire_destroy(quire_default());
	return 0;
}
