/* SPDX-License-Identifier: MIT */
/*
 * host MODULE... - loads and unloads modules while threads use them: docs/examples.md
 *
 * Each module has a slot, which is there for as long as the program.  A thread that calls into a module holds a
 * reference of its slot; as long as the module stays, that costs two increments of a counter of the thread's CPU.
 * To unload, the reference is killed: no thread gets one any more, and when the last one is dropped no thread is
 * in the module's code.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ref.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "module.h"

struct slot {
	struct quire_percpu_ref users; /* first: released() takes its address for the slot's */
	sem_t is_unused;
	const char *path;
	void *library;
	const struct module *module; /* for holders of a reference */
	int64_t counted;	     /* by the module, each time it was there */
};

static void released(struct quire_percpu_ref *users)
{
	sem_post(&((struct slot *)users)->is_unused);
}

/* 0, or a negative errno. */
static int slot_open(struct slot *slot, struct quire *q, const char *path)
{
	*slot = (struct slot){ .path = path };
	if (sem_init(&slot->is_unused, 0, 0) != 0)
		return -errno;
	return quire_percpu_ref_init(q, &slot->users, released, QUIRE_PERCPU_REF_DEAD);
}

static void slot_close(struct slot *slot)
{
	quire_percpu_ref_exit(&slot->users);
	sem_destroy(&slot->is_unused);
}

/* 0, or -1 after a line that says why. */
static int slot_load(struct slot *slot, struct quire *q)
{
	const char *why;
	int error;

	slot->library = dlopen(slot->path, RTLD_NOW | RTLD_LOCAL);
	if (slot->library == NULL) {
		fprintf(stderr, "host: %s\n", dlerror());
		return -1;
	}
	slot->module = dlsym(slot->library, "host_module");
	if (slot->module == NULL || slot->module->version != MODULE_VERSION) {
		why = "is no module of this host's";
	} else {
		error = slot->module->start(q);
		if (error == 0) {
			quire_percpu_ref_reinit(&slot->users);
			return 0;
		}
		why = strerror(-error);
	}
	fprintf(stderr, "host: %s: %s\n", slot->path, why);
	dlclose(slot->library);
	return -1;
}

/* Waits until no thread is in the module.  0, or -1 after a line that says why it stays in memory. */
static int slot_unload(struct slot *slot)
{
	int64_t counted;

	quire_percpu_ref_kill(&slot->users);
	while (sem_wait(&slot->is_unused) != 0)
		; /* interrupted */
	counted = slot->module->stop();
	if (counted < 0) {
		fprintf(stderr, "host: %s: %s\n", slot->path, strerror((int)-counted));
		return -1; /* something may still point into it */
	}
	slot->counted += counted;
	if (dlclose(slot->library) != 0) {
		fprintf(stderr, "host: %s\n", dlerror());
		return -1;
	}
	return 0;
}

/* Returns whether the module is there and took the line. */
static bool slot_take(struct slot *slot, const char *line)
{
	if (!quire_percpu_ref_tryget_live(&slot->users))
		return false;
	slot->module->take(line);
	quire_percpu_ref_put(&slot->users);
	return true;
}

/* ---- a program with modules ---- */

#define SLOTS_NR_MAX 16u
#define THREADS_NR   4u
#define ROUNDS	     50u

struct host {
	struct quire *q;
	struct slot slot[SLOTS_NR_MAX];
	unsigned slots_nr;
	atomic_bool is_ending;
	struct quire_percpu_counter taken; /* lines that a module took, counted by the caller */
};

static void give_line(struct host *host, unsigned number)
{
	char line[32];

	snprintf(line, sizeof(line), "line %u", number % 100);
	for (unsigned i = 0; i < host->slots_nr; i++)
		if (slot_take(&host->slot[i], line))
			quire_percpu_counter_add(&host->taken, 1);
}

static void *give_lines(void *arg)
{
	struct host *host = arg;

	for (unsigned i = 0; !host->is_ending; i++)
		give_line(host, i);
	return NULL;
}

static int reload_all(struct host *host)
{
	unsigned loaded = 0;
	int status = 0;

	while (loaded < host->slots_nr && slot_load(&host->slot[loaded], host->q) == 0)
		loaded++;
	give_line(host, loaded);
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	for (unsigned i = 0; i < loaded; i++)
		if (slot_unload(&host->slot[i]) != 0)
			status = -1;
	return loaded == host->slots_nr ? status : -1;
}

static int run(struct host *host)
{
	pthread_t thread[THREADS_NR];
	unsigned started = 0;
	int status = 0;

	while (started < THREADS_NR &&
	       pthread_create(&thread[started], NULL, give_lines, host) == 0)
		started++;
	for (unsigned i = 0; i < ROUNDS && status == 0; i++)
		status = reload_all(host);
	host->is_ending = true;
	for (unsigned i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	if (started < THREADS_NR)
		fputs("host: the system refused a thread\n", stderr);
	return started == THREADS_NR ? status : -1;
}

/* Per-CPU objects in use, without those of modules that are gone. */
static uint64_t count_objects(struct quire *q)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;

	(void)quire_percpu_shrink(q);
	return quire_percpu_stat_read(q, &stat) == 0 ? stat.objects : UINT64_MAX;
}

/* 0, or a negative errno. */
static int host_open(struct host *host, unsigned paths_nr, char *const *paths)
{
	int error;

	host->q = quire_default();
	if (host->q == NULL)
		return -errno;
	error = quire_percpu_counter_init(host->q, &host->taken, 0, 0);
	for (; error == 0 && host->slots_nr < paths_nr; host->slots_nr++)
		error = slot_open(&host->slot[host->slots_nr], host->q, paths[host->slots_nr]);
	return error;
}

static void host_close(struct host *host)
{
	while (host->slots_nr > 0)
		slot_close(&host->slot[--host->slots_nr]);
	quire_percpu_counter_destroy(&host->taken);
}

int main(int argc, char **argv)
{
	static struct host host;
	uint64_t objects;
	int64_t missed, left;
	int status;

	if (argc < 2 || argc - 1 > (int)SLOTS_NR_MAX) {
		fprintf(stderr, "usage: host MODULE... (at most %u)\n", SLOTS_NR_MAX);
		return 2;
	}
	status = host_open(&host, (unsigned)argc - 1, argv + 1);
	if (status != 0) {
		fprintf(stderr, "host: cannot begin: %s\n", strerror(-status));
		return 1;
	}
	objects = count_objects(host.q);
	status = run(&host);
	missed = quire_percpu_counter_sum(&host.taken);
	for (unsigned i = 0; i < host.slots_nr; i++)
		missed -= host.slot[i].counted;
	left = (int64_t)(count_objects(host.q) - objects);
	if (status == 0)
		printf("%u plug-ins, each loaded %u times under %u threads\n", host.slots_nr,
		       ROUNDS, THREADS_NR);
	printf("lines that no plug-in counted: %lld; per-CPU objects left behind: %lld\n",
	       (long long)missed, (long long)left);
	host_close(&host);
	return status == 0 && missed == 0 && left == 0 ? 0 : 1;
}
