/* SPDX-License-Identifier: MIT */
#include "record/kernel_trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tracefs/tracefs.h>

#include "common/output.h"
#include "record/kernel_convert.h"
#include "record/unnamed.h"

#define INSTANCE_PREFIX "quire-"

/* Raw pages are written together: 64 of 4 KiB. */
#define PAGES_AT_ONCE 64u

static void say(const char *what, const char *detail)
{
	fprintf(stderr, "quire record: %s: %s\n", what, detail);
}

/* ---- the directory ---------------------------------------------------------------------------- */

static bool has_kernel_tracefs(void)
{
	FILE *file = fopen("/proc/filesystems", "r");
	bool found = false;
	char line[128];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		found = found || strstr(line, "\ttracefs\n") != NULL;
	if (file != NULL)
		fclose(file);
	return found;
}

const char *kernel_trace_directory(void)
{
	const char *directory = getenv("QUIRE_TRACEFS");
	char instances[PATH_MAX];

	if (directory == NULL && tracefs_tracing_dir_is_mounted(false, &directory) <= 0) {
		if (!has_kernel_tracefs())
			say("this kernel has no tracefs",
			    "it needs CONFIG_FTRACE and CONFIG_TRACING");
		else if (geteuid() != 0)
			say("tracefs is not mounted",
			    "recording the kernel needs root; as root: mount -t tracefs tracefs "
			    "/sys/kernel/tracing");
		else
			say("tracefs is not mounted",
			    "mount -t tracefs tracefs /sys/kernel/tracing");
		return NULL;
	}
	snprintf(instances, sizeof(instances), "%s/instances", directory);
	if (access(instances, W_OK | X_OK) != 0) {
		int error = errno;

		fprintf(stderr, "quire record: %s: %s%s\n", instances, strerror(error),
			geteuid() != 0 ? "; recording the kernel needs root: sudo quire record"
				       : "");
		return NULL;
	}
	return directory;
}

/* ---- instances -------------------------------------------------------------------------------- */

/* Opens an instance's directory by name; -1 with errno. */
static int open_instance(const char *directory, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/instances/%s", directory, name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whether a recorder runs that has it. */
static bool is_locked(int instance)
{
	return flock(instance, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/* The recorder's process that the name says; 0: it is another's instance. */
static pid_t pid_of(const char *name)
{
	size_t prefix_nr = strlen(INSTANCE_PREFIX);
	char *end;
	long pid;

	if (strncmp(name, INSTANCE_PREFIX, prefix_nr) != 0)
		return 0;
	pid = strtol(name + prefix_nr, &end, 10);
	return *end == '\0' && pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static void remove_if_left(const char *directory, const char *name, int instance, void *arg)
{
	char path[PATH_MAX];

	(void)arg;
	if (is_locked(instance))
		return;
	snprintf(path, sizeof(path), "%s/instances/%s", directory, name);
	if (rmdir(path) == 0)
		fprintf(stderr, "quire record: removed %s, which a recorder had left behind\n",
			path);
}

/* Calls @visit for each instance of a recorder. */
static void visit_instances(const char *directory,
			    void (*visit)(const char *directory, const char *name, int instance,
					  void *arg),
			    void *arg)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *instances;

	snprintf(path, sizeof(path), "%s/instances", directory);
	instances = opendir(path);
	while (instances != NULL && (entry = readdir(instances)) != NULL) {
		int instance =
			pid_of(entry->d_name) != 0 ? open_instance(directory, entry->d_name) : -1;

		if (instance < 0)
			continue;
		visit(directory, entry->d_name, instance, arg);
		close(instance);
	}
	if (instances != NULL)
		closedir(instances);
}

struct marking {
	const char *name;
	int marked_nr;
};

static void mark_instance(const char *directory, const char *instance_name, int instance, void *arg)
{
	struct marking *marking = arg;
	char text[128];
	int length = snprintf(text, sizeof(text), "%s%s\n", KERNEL_MARK_PREFIX, marking->name);
	int marker;

	(void)directory;
	if (!is_locked(instance) || marking->marked_nr < 0)
		return;
	marker = openat(instance, "trace_marker", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (marker < 0 || write(marker, text, (size_t)length) != length ||
	    kill(pid_of(instance_name), SIGUSR1) != 0) {
		say(instance_name, strerror(errno));
		marking->marked_nr = -1;
	} else {
		marking->marked_nr++;
	}
	if (marker >= 0)
		close(marker);
}

int kernel_trace_mark(const char *directory, const char *name)
{
	struct marking marking = { .name = name };

	visit_instances(directory, mark_instance, &marking);
	return marking.marked_nr;
}

/* Writes a file of the instance: 0, or -1 after saying what is wrong. */
static int set(struct kernel_trace *trace, const char *name, const char *value)
{
	if (tracefs_instance_file_write(trace->instance, name, value) >= 0)
		return 0;
	fprintf(stderr, "quire record: %s: cannot write '%s': %s\n", name, value, strerror(errno));
	return -1;
}

static int enable_events(struct kernel_trace *trace, const struct kernel_formats *formats)
{
	for (int op = 0; op < KERNEL_EVENTS_NR; op++) {
		const struct kernel_event_known *known = &kernel_events[op];

		/* Marks are always on, and stacks are other events' triggers. */
		if (!formats->events[op].is_present || op == KERNEL_PRINT || op == KERNEL_STACK)
			continue;
		if (tracefs_event_file_write(trace->instance, known->system, known->name, "enable",
					     "1") < 0) {
			fprintf(stderr, "quire record: cannot switch on %s:%s: %s\n", known->system,
				known->name, strerror(errno));
			return -1;
		}
	}
	return 0;
}

/* Who takes an area is only known by the stack at that moment. */
static void enable_stacks(struct kernel_trace *trace, const struct kernel_formats *formats)
{
	const struct kernel_event_known *area = &kernel_events[KERNEL_VMAP_ALLOC];

	if (formats->events[KERNEL_STACK].is_present &&
	    formats->events[KERNEL_VMAP_ALLOC].is_present &&
	    tracefs_event_file_write(trace->instance, area->system, area->name, "trigger",
				     "stacktrace") < 0)
		fprintf(stderr,
			"quire record: absent: stacks of areas, so their callers are not known: "
			"%s\n",
			strerror(errno));
}

/* ---- readers ---------------------------------------------------------------------------------- */

/* Moves all pages that there are: how many bytes, or a negative errno. */
static ssize_t drain(struct kernel_reader *reader, char *bytes)
{
	size_t page_bytes = reader->trace->page_bytes;
	ssize_t total = 0;

	for (;;) {
		size_t nr = 0;
		ssize_t got = 0;
		int error;

		while (nr < PAGES_AT_ONCE * page_bytes) {
			got = read(reader->from, bytes + nr, page_bytes);
			if (got <= 0)
				break;
			/* A shorter read is of a page that has nothing more. */
			memset(bytes + nr + got, 0, page_bytes - (size_t)got);
			nr += page_bytes;
		}
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		error = output_write_all(reader->to, bytes, nr);
		if (error != 0)
			return error;
		total += (ssize_t)nr;
		atomic_fetch_add_explicit(&reader->trace->bytes_nr, nr, memory_order_relaxed);
		if (nr < PAGES_AT_ONCE * page_bytes)
			return total;
	}
}

/*
 * Waits until the kernel's buffer is half full (its buffer_percent): reading earlier would
 * only take pages that are not full.  After the end all that is left is read.
 */
static void *read_cpu(void *arg)
{
	struct kernel_reader *reader = arg;
	struct timespec pause = { .tv_nsec = 20000000 };
	char *bytes = malloc(PAGES_AT_ONCE * reader->trace->page_bytes);
	bool stops = false;

	reader->tid = gettid();
	if (bytes == NULL)
		reader->error = -ENOMEM;
	while (reader->error == 0 && !stops) {
		struct pollfd wanted = { .fd = reader->from, .events = POLLIN };
		int ready = poll(&wanted, 1, 100);
		ssize_t nr = 0;

		stops = atomic_load_explicit(&reader->trace->stops, memory_order_acquire);
		if (ready > 0 || stops)
			nr = drain(reader, bytes);
		if (nr < 0)
			reader->error = (int)nr;
		/* A file that is no device is always ready. */
		if (nr == 0 && ready > 0 && !stops)
			nanosleep(&pause, NULL);
	}
	if (reader->error != 0)
		atomic_store_explicit(&reader->trace->has_failed, true, memory_order_relaxed);
	free(bytes);
	return NULL;
}

static int open_reader(struct kernel_trace *trace, uint32_t cpu, const char *beside)
{
	struct kernel_reader *reader = &trace->readers[cpu];
	char name[64];

	reader->trace = trace;
	snprintf(name, sizeof(name), "per_cpu/cpu%u/trace_pipe_raw", cpu);
	reader->from = tracefs_instance_file_open(trace->instance, name, O_RDONLY | O_NONBLOCK);
	if (reader->from < 0) {
		say(name, strerror(errno));
		return -1;
	}
	reader->to = unnamed_open(beside);
	if (reader->to < 0) {
		say(beside, strerror(errno));
		return -1;
	}
	return 0;
}

/* Its per_cpu/cpuN: one for each CPU that the machine may have. */
static uint32_t count_cpus(const struct kernel_trace *trace)
{
	uint32_t nr = 0;
	char name[64];

	do
		snprintf(name, sizeof(name), "per_cpu/cpu%u/trace_pipe_raw", nr);
	while (tracefs_file_exists(trace->instance, name) && ++nr < UINT16_MAX);
	return nr;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static int open_readers(struct kernel_trace *trace, const char *beside)
{
	uint32_t cpus_nr = count_cpus(trace);

	trace->readers = calloc(cpus_nr, sizeof(trace->readers[0]));
	if (trace->readers == NULL || cpus_nr == 0) {
		say(tracefs_instance_get_name(trace->instance), "it has no per_cpu/cpu0");
		return -1;
	}
	trace->cpus_nr = cpus_nr;
	for (uint32_t cpu = 0; cpu < cpus_nr; cpu++)
		trace->readers[cpu].from = trace->readers[cpu].to = -1;
	for (uint32_t cpu = 0; cpu < cpus_nr; cpu++)
		if (open_reader(trace, cpu, beside) != 0)
			return -1;
	return 0;
}

int kernel_trace_open(struct kernel_trace *trace, const char *directory,
		      const struct kernel_formats *formats, uint64_t buffer_bytes,
		      const char *beside)
{
	char name[64], size[32];

	*trace = (struct kernel_trace){ .directory = -1, .page_bytes = formats->page_bytes };
	visit_instances(directory, remove_if_left, NULL);
	snprintf(name, sizeof(name), "%s%d", INSTANCE_PREFIX, (int)getpid());
	if (tracefs_set_tracing_dir((char *)directory) == 0)
		trace->instance = tracefs_instance_create(name);
	if (trace->instance == NULL) {
		fprintf(stderr, "quire record: cannot make %s/instances/%s: %s\n", directory, name,
			strerror(errno));
		return -1;
	}
	trace->directory = open_instance(directory, name);
	if (trace->directory < 0 || flock(trace->directory, LOCK_EX | LOCK_NB) != 0) {
		say(name, strerror(errno));
		return -1;
	}
	snprintf(size, sizeof(size), "%llu", (unsigned long long)(buffer_bytes + 1023) / 1024);
	if (set(trace, "tracing_on", "0") != 0 || set(trace, "trace_clock", "mono") != 0)
		return -1;
	if (set(trace, "buffer_size_kb", size) != 0) {
		say("the buffers of all CPUs need that much memory", "give a smaller --buffer");
		return -1;
	}
	enable_stacks(trace, formats);
	return enable_events(trace, formats) != 0 ? -1 : open_readers(trace, beside);
}

int kernel_trace_start(struct kernel_trace *trace)
{
	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++) {
		struct kernel_reader *reader = &trace->readers[cpu];
		int error = pthread_create(&reader->thread, NULL, read_cpu, reader);

		if (error != 0) {
			say("a thread", strerror(error));
			return -1;
		}
		reader->is_started = true;
	}
	return set(trace, "tracing_on", "1");
}

static void join(struct kernel_trace *trace)
{
	/* Pairs with the acquire in read_cpu(): tracing was switched off before. */
	atomic_store_explicit(&trace->stops, true, memory_order_release);
	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++) {
		if (trace->readers[cpu].is_started)
			pthread_join(trace->readers[cpu].thread, NULL);
		trace->readers[cpu].is_started = false;
	}
}

static uint64_t count_lost(const struct kernel_trace *trace)
{
	static const char *const keys[] = { "overrun: ", "dropped events: " };
	uint64_t lost_nr = 0;

	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++) {
		char name[64];
		char *text;

		snprintf(name, sizeof(name), "per_cpu/cpu%u/stats", cpu);
		text = tracefs_instance_file_read(trace->instance, name, NULL);
		for (size_t i = 0; text != NULL && i < sizeof(keys) / sizeof(keys[0]); i++) {
			const char *found = strstr(text, keys[i]);

			if (found != NULL)
				lost_nr += strtoull(found + strlen(keys[i]), NULL, 10);
		}
		free(text);
	}
	return lost_nr;
}

static void remove_instance(struct kernel_trace *trace)
{
	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++) {
		if (trace->readers[cpu].from >= 0)
			close(trace->readers[cpu].from);
		trace->readers[cpu].from = -1;
	}
	if (trace->directory >= 0)
		close(trace->directory);
	trace->directory = -1;
	if (trace->instance == NULL)
		return;
	if (tracefs_instance_destroy(trace->instance) != 0)
		fprintf(stderr, "quire record: cannot remove the instance %s: %s\n",
			tracefs_instance_get_name(trace->instance), strerror(errno));
	tracefs_instance_free(trace->instance);
	trace->instance = NULL;
}

int kernel_trace_stop(struct kernel_trace *trace)
{
	int result = set(trace, "tracing_on", "0");

	join(trace);
	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++) {
		if (trace->readers[cpu].error == 0)
			continue;
		fprintf(stderr, "quire record: the spool of CPU %u: %s\n", cpu,
			strerror(-trace->readers[cpu].error));
		result = -1;
	}
	trace->lost_nr = count_lost(trace);
	remove_instance(trace);
	return result;
}

void kernel_trace_close(struct kernel_trace *trace)
{
	join(trace);
	remove_instance(trace);
	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++)
		if (trace->readers[cpu].to >= 0)
			close(trace->readers[cpu].to);
	free(trace->readers);
	*trace = (struct kernel_trace){ .directory = -1 };
}
