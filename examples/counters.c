/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>
#include <quire/percpu_ref.h>
#include <stdio.h>

#define THREADS	 4
#define REQUESTS 100000

struct service {
	struct quire_percpu_ref users;
	struct quire_percpu_counter bytes;
};

QUIRE_DEFINE_PER_CPU(long, requests) = 0; /* each CPU has its own, from before main() on */
static int is_released;

static void *serve(void *arg)
{
	struct service *service = arg;

	/* No cache line is shared by the threads while they are on different CPUs. */
	for (int i = 0; i < REQUESTS && quire_percpu_ref_tryget_live(&service->users); i++) {
		quire_this_cpu_inc(requests);
		quire_percpu_counter_add(&service->bytes, 100);
		quire_percpu_ref_put(&service->users);
	}
	return NULL;
}

static void release(struct quire_percpu_ref *users)
{
	(void)users;
	is_released = 1; /* nobody uses the service, and nobody will */
}

int main(void)
{
	struct quire *q = quire_default();
	pthread_t threads[THREADS];
	struct service service;
	long served, bytes;

	if (quire_percpu_counter_init(q, &service.bytes, 0, 0) != 0 ||
	    quire_percpu_ref_init(q, &service.users, release, 0) != 0)
		return 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, serve, &service) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	quire_percpu_ref_kill(&service.users); /* the owner's reference was the last one */
	served = quire_per_cpu_sum(requests);
	bytes = (long)quire_percpu_counter_sum(&service.bytes);
	printf("%ld requests, %ld bytes\n", served, bytes);
	quire_percpu_ref_exit(&service.users);
	quire_percpu_counter_destroy(&service.bytes);
	return !is_released || served != THREADS * REQUESTS || bytes != 100 * served;
}
