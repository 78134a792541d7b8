/* SPDX-License-Identifier: MIT */
/* worker_start_test.c - the worker's thread is a guest: how it runs, and that its code stays */
#include "quire_test.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <quire/page.h>

#include "machine/linux/sanitizer.h"

/* The kernel's number of the worker; 0 if there is none. */
static pid_t worker_tid(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	pid_t tid = 0;

	while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (file == NULL)
			continue;
		if (fgets(name, sizeof(name), file) != NULL && strcmp(name, "quire-worker\n") == 0)
			tid = (pid_t)atoi(entry->d_name);
		fclose(file);
	}
	if (tasks != NULL)
		closedir(tasks);
	return tid;
}

static bool runs_on(pid_t tid, const cpu_set_t *want)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	return tid != 0 && sched_getaffinity(tid, sizeof(cpus), &cpus) == 0 &&
	       CPU_EQUAL(&cpus, want);
}

/* What it inherits it puts off when it runs first: its name, then its policy, last its CPUs.  On a
 * single CPU those tell nothing, so everything is awaited that tells. */
static pid_t worker_settled(const cpu_set_t *want)
{
	uint64_t end_ns = await_begin();
	pid_t tid;

	while (tid = worker_tid(), !runs_on(tid, want) || sched_getscheduler(tid) != SCHED_OTHER ||
					   getpriority(PRIO_PROCESS, (id_t)tid) != 0)
		if (!await_more(end_ns))
			break;
	return tid;
}

/* Of its memory policy the system shows the word before each mapping, as the thread has it; empty if the
 * system has no such policies. */
static void worker_policy(pid_t tid, char *policy, size_t bytes)
{
	char path[64], line[512];
	FILE *file;

	policy[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/task/%d/numa_maps", (int)getpid(), (int)tid);
	file = fopen(path, "r");
	if (file == NULL)
		return;
	if (fgets(line, sizeof(line), file) != NULL && strtok(line, " ") != NULL)
		snprintf(policy, bytes, "%s", strtok(NULL, " \n"));
	fclose(file);
}

struct starter {
	struct quire *q;
	int cpu;
	int policy;    /* that it could set */
	bool is_bound; /* to one node of memory */
};

/* As unlike an ordinary thread as the system allows. */
static void *starts(void *arg)
{
	const struct sched_param fifo = { .sched_priority = 5 };
	struct starter *starter = arg;
	unsigned long nodes = 1;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((unsigned)starter->cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	starter->is_bound =
		syscall(SYS_set_mempolicy, 2L /* MPOL_BIND */, &nodes, 8L * sizeof(nodes)) == 0;
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), -5);
	sched_setscheduler(0, SCHED_FIFO, &fifo);
	starter->policy = sched_getscheduler(0);
	quire_free_pages(starter->q, quire_alloc_pages(starter->q, 9, 0), 9); /* worth a worker */
	return NULL;
}

static void worker_inherits_nothing_of_its_starter(void **state)
{
	/* So long that it does not do its work and end before it was looked at. */
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = 64 << 20, .decay_ms = 60000);
	struct starter starter = { .cpu = allowed_cpu_next(0) };
	char isolated[16], memory[32];
	cpu_set_t want;
	pthread_t thread;
	uint64_t end_ns;
	pid_t tid;

	(void)state;
	sched_getaffinity(0, sizeof(want), &want);
	snprintf(isolated, sizeof(isolated), "%d", starter.cpu);
	if (CPU_COUNT(&want) > 1) {
		options.isolated = isolated;
		CPU_CLR((unsigned)starter.cpu, &want);
	}
	assert_int_equal(quire_create(&options, &starter.q), 0);
	assert_int_equal(pthread_create(&thread, NULL, starts, &starter), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (starter.policy != SCHED_FIFO)
		print_message("no real-time policy is permitted here: that part is left out\n");
	if (!starter.is_bound)
		print_message("no memory policy is permitted here: that part is left out\n");
	tid = worker_settled(&want);
	assert_true(tid != 0);
	end_ns = await_begin();
	do
		worker_policy(tid, memory, sizeof(memory));
	while (starter.is_bound && strcmp(memory, "default") != 0 && await_more(end_ns));
	if (starter.is_bound)
		assert_string_equal(memory, "default");
	assert_int_equal(sched_getscheduler(tid), SCHED_OTHER);
	assert_int_equal(getpriority(PRIO_PROCESS, (id_t)tid), 0);
	assert_true(runs_on(tid, &want));
	quire_destroy(starter.q);
}

/* The worker would wake in code that is not there any more: it has done its work there, and ended. */
static void plugin_with_a_worker_may_be_closed(void **state)
{
	const char *path = getenv("QUIRE_WORKER_PLUGIN");
	size_t threads = count_threads();

	(void)state;
	if (MACHINE_TSAN || MACHINE_ASAN)
		skip_because("the plugin is not built for a sanitizer");
	assert_non_null(path);
	for (unsigned i = 0; i < 3; i++) {
		void *plugin = dlopen(path, RTLD_NOW);
		int (*work)(void);
		uint64_t end_ns = await_begin();

		if (plugin == NULL)
			print_message("%s\n", dlerror());
		assert_non_null(plugin);
		*(void **)(&work) = dlsym(plugin, "worker_plugin_work");
		assert_non_null(work);
		assert_int_equal(work(), 0);
		assert_int_equal(dlclose(plugin), 0);
		while (count_threads() != threads && await_more(end_ns))
			;
		assert_u64_eq(count_threads(), threads);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_inherits_nothing_of_its_starter),
		cmocka_unit_test(plugin_with_a_worker_may_be_closed),
	};

	return cmocka_run_group_tests_name("worker_start", tests, NULL, NULL);
}
