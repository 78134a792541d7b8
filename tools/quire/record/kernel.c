/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - records the kernel's memory events
 *
 * While it records it only moves raw pages of the ring buffers into files, and reads the kernel's figures
 * a few times a second: events are lost if that cannot keep up.  Everything else is done afterwards.
 */
#include "record/record.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/progress.h"
#include "record/kernel_convert.h"
#include "record/kernel_events.h"
#include "record/kernel_info.h"
#include "record/kernel_samples.h"
#include "record/kernel_trace.h"
#include "record/unnamed.h"

/* Of each CPU.  At a million events a second of 40 bytes it holds them for 0.2 seconds. */
#define BUFFER_BYTES_DEFAULT (8u << 20)

#define SAMPLE_EVERY_NS 200000000u

/* Losses that are said one by one. */
#define LOSSES_SAID_MAX 10u

struct recording {
	const struct record_request *request;
	const char *directory, *proc;
	unsigned kinds;
	struct kernel_formats formats;
	struct kernel_trace trace;
	struct kernel_samples samples;
	struct katr_writer writer;
	sigset_t signals, old_signals;
	uint64_t begin_ns, end_ns;
	bool is_watched; /* stderr is a terminal */
};

static double seconds_of(const struct recording *recording)
{
	return (double)(recording->end_ns - recording->begin_ns) / 1e9;
}

/* ---- which events ----------------------------------------------------------------------------- */

static const char *const kind_names[KATR_KINDS_NR + 1] = { "page", "percpu", "vmap", "slab" };

/* "page,vmap" -> a bit each; 0, said, if a name is none. */
static unsigned parse_kinds(const char *text)
{
	unsigned kinds = 0;

	if (text == NULL)
		return 1u << KATR_PAGE | 1u << KATR_PERCPU | 1u << KATR_VMAP;
	for (;;) {
		size_t nr = strcspn(text, ",");
		unsigned kind = 0;
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)nr, text);
		while (kind < KATR_KINDS_NR && strcmp(kind_names[kind], name) != 0)
			kind++;
		if (kind == KATR_KINDS_NR) {
			fprintf(stderr,
				"quire record: the kernel has no events '%s'; the nearest is "
				"'%s'\n",
				name, command_nearest(name, kind_names));
			return 0;
		}
		kinds |= 1u << kind;
		if (text[nr] == '\0')
			return kinds;
		text += nr + 1;
	}
}

/* ---- while it records ------------------------------------------------------------------------- */

static void show(const struct recording *recording, uint64_t now_ns)
{
	if (recording->is_watched)
		fprintf(stderr, "\rquire record: %.0f s, %.1f MiB of events; Ctrl-C ends it\033[K",
			(double)(now_ns - recording->begin_ns) / 1e9,
			(double)atomic_load_explicit(&recording->trace.bytes_nr,
						     memory_order_relaxed) /
				1048576);
}

static void wipe(const struct recording *recording)
{
	if (recording->is_watched)
		fprintf(stderr, "\r\033[K");
}

/* Until a signal, the time or a failure ends it. */
static void wait_for_end(struct recording *recording)
{
	uint64_t seconds = recording->request->seconds;
	uint64_t end_ns = seconds > 0 ? recording->begin_ns + seconds * 1000000000u : UINT64_MAX;
	uint64_t next_ns = recording->begin_ns + SAMPLE_EVERY_NS;

	for (;;) {
		uint64_t now_ns = progress_now_ns();
		uint64_t until_ns = next_ns < end_ns ? next_ns : end_ns;
		uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
		struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000u),
					 .tv_nsec = (long)(wait_ns % 1000000000u) };
		int signal = sigtimedwait(&recording->signals, NULL, &wait);

		now_ns = progress_now_ns();
		if (now_ns >= end_ns || (signal > 0 && signal != SIGUSR1) ||
		    atomic_load_explicit(&recording->trace.has_failed, memory_order_relaxed))
			return;
		if (signal == SIGUSR1 || now_ns >= next_ns)
			kernel_samples_take(&recording->samples, signal == SIGUSR1, NULL);
		if (now_ns >= next_ns) {
			show(recording, now_ns);
			next_ns = now_ns + SAMPLE_EVERY_NS;
		}
	}
}

/* Signals end it in order: they wait until it looks for them. */
static void block_signals(struct recording *recording)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };

	sigemptyset(&recording->signals);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaddset(&recording->signals, ends[i]);
	pthread_sigmask(SIG_BLOCK, &recording->signals, &recording->old_signals);
}

/* From here on a signal ends the process at once.  Those that came too late for the recording are forgotten. */
static void unblock_signals(const struct recording *recording)
{
	const struct timespec now = { .tv_sec = 0 };

	while (sigtimedwait(&recording->signals, NULL, &now) > 0)
		continue;
	pthread_sigmask(SIG_SETMASK, &recording->old_signals, NULL);
}

/* 0, or -1 after saying what is wrong. */
static int record(struct recording *recording)
{
	int result;

	recording->begin_ns = progress_now_ns();
	if (kernel_trace_start(&recording->trace) != 0)
		return -1;
	kernel_samples_take(&recording->samples, true, "start");
	if (!recording->is_watched)
		fprintf(stderr, "quire record: recording\n");
	wait_for_end(recording);
	kernel_samples_take(&recording->samples, true, "end");
	result = kernel_trace_stop(&recording->trace);
	recording->end_ns = progress_now_ns();
	wipe(recording);
	return result;
}

/* ---- loss ------------------------------------------------------------------------------------- */

/* Says how to lose less. */
static void say_remedy(const struct record_request *request)
{
	uint64_t mib = record_roomier_mib(request->buffer_bytes != 0 ? request->buffer_bytes
								     : BUFFER_BYTES_DEFAULT);

	if (mib != 0)
		fprintf(stderr, "give --buffer %" PRIu64 "m, or fewer --events\n", mib);
	else
		fprintf(stderr, "give fewer --events\n");
}

/* Says what was lost, and writes it into the recording: how many events. */
static uint64_t put_loss(struct recording *recording, const struct kernel_convert *convert)
{
	uint64_t counted_nr = recording->trace.lost_nr;
	uint64_t lost_nr = convert->lost_nr > counted_nr ? convert->lost_nr : counted_nr;

	if (lost_nr == 0 && convert->has_unknown_loss)
		lost_nr = 1;
	katr_writer_info(&recording->writer, "lost", "%" PRIu64, lost_nr);
	if (lost_nr == 0)
		return 0;
	for (size_t i = 0; i < convert->losses_nr && i < LOSSES_SAID_MAX; i++) {
		const struct kernel_loss *loss = &convert->losses[i];
		char nr[32] = "some";

		if (loss->nr != KERNEL_LOST_UNKNOWN)
			snprintf(nr, sizeof(nr), "%" PRIu64, loss->nr);
		fprintf(stderr,
			"quire record: lost: %s events of CPU %u between %.3f s and %.3f s\n", nr,
			loss->cpu, (double)(loss->from_ns - convert->begin_ns) / 1e9,
			(double)(loss->to_ns - convert->begin_ns) / 1e9);
	}
	if (convert->losses_nr > LOSSES_SAID_MAX)
		fprintf(stderr, "quire record: lost: and %zu times more\n",
			convert->losses_nr - LOSSES_SAID_MAX);
	fprintf(stderr,
		"quire record: lost: %" PRIu64 " events in all, so the recording has gaps: ",
		lost_nr);
	say_remedy(recording->request);
	return lost_nr;
}

/* ---- after it --------------------------------------------------------------------------------- */

/* The recorder's threads; free() is the caller's.  NULL without memory. */
static int32_t *own_pids(const struct kernel_trace *trace, size_t *nr)
{
	int32_t *pids = calloc(trace->cpus_nr + 1, sizeof(pids[0]));

	if (pids == NULL)
		return NULL;
	pids[0] = (int32_t)getpid();
	for (uint32_t cpu = 0; cpu < trace->cpus_nr; cpu++)
		pids[1 + cpu] = (int32_t)trace->readers[cpu].tid;
	*nr = trace->cpus_nr + 1;
	return pids;
}

/* All events into the writer: 0 or a negative errno. */
static int convert_events(const struct recording *recording, struct kernel_convert *convert)
{
	uint64_t total = atomic_load_explicit(&recording->trace.bytes_nr, memory_order_relaxed);
	uint64_t steps_nr = 0;
	int error = kernel_convert_init(convert);

	if (error != 0)
		return error;
	while (kernel_convert_step(convert))
		if (recording->is_watched && (++steps_nr & 0xfffff) == 0)
			fprintf(stderr, "\rquire record: writing: %3.0f %%\033[K",
				100.0 * (double)convert->stream->bytes_done_nr / (double)total);
	wipe(recording);
	return convert->error;
}

/* Pairs and counts, and writes the file: EXIT_OK if nothing was lost. */
static enum exit_status write_recording(struct recording *recording, struct kernel_convert *convert)
{
	struct katr_writer *writer = &recording->writer;
	const char *path = recording->request->output;
	int error = convert_events(recording, convert);
	bool has_lost = false;

	if (error == 0) {
		writer->kinds = recording->kinds;
		writer->place = recording->kinds & ~(1u << KATR_SLAB);
		writer->vmalloc_pages = convert->vmap_pages;
		writer->cpus_nr = recording->trace.cpus_nr;
		kernel_info_put(convert, &(struct kernel_about){
						 .path = path,
						 .seconds = seconds_of(recording),
						 .interval_ms = SAMPLE_EVERY_NS / 1000000,
					 });
		has_lost = put_loss(recording, convert) != 0;
		error = katr_writer_end(writer, path);
	}
	if (error != 0) {
		fprintf(stderr, "quire record: %s: %s\n", path, strerror(-error));
		return EXIT_UNWRITTEN;
	}
	fprintf(stderr, "quire record: %s: %" PRIu64 " records in %.1f s\n", path,
		writer->records_nr, seconds_of(recording));
	return has_lost ? EXIT_UNWRITTEN : EXIT_OK;
}

static enum exit_status convert(struct recording *recording)
{
	uint32_t cpus_nr = recording->trace.cpus_nr;
	int *spools = calloc(cpus_nr, sizeof(spools[0]));
	enum exit_status status = EXIT_FOUND;
	struct kernel_stream stream = { .cpus_nr = 0 };
	struct symbols symbols = { .nr = 0 };
	struct kernel_convert convert = {
		.writer = &recording->writer,
		.formats = &recording->formats,
		.stream = &stream,
		.samples = &recording->samples,
		.symbols = &symbols,
		.proc = recording->proc,
	};
	int32_t *pids = own_pids(&recording->trace, &convert.own_pids_nr);
	char kallsyms[4096];
	int error = spools != NULL && pids != NULL ? recording->samples.error : -ENOMEM;

	convert.own_pids = pids;
	for (uint32_t cpu = 0; spools != NULL && cpu < cpus_nr; cpu++)
		spools[cpu] = recording->trace.readers[cpu].to;
	snprintf(kallsyms, sizeof(kallsyms), "%s/kallsyms", recording->proc);
	if (error == 0)
		error = symbols_read(&symbols, kallsyms);
	if (error == 0)
		error = kernel_stream_init(&stream, &recording->formats, spools, cpus_nr);
	if (error == 0)
		status = write_recording(recording, &convert);
	else
		fprintf(stderr, "quire record: %s\n", strerror(-error));
	kernel_convert_fini(&convert);
	kernel_stream_fini(&stream);
	symbols_fini(&symbols);
	free(spools);
	free(pids);
	return status;
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum exit_status set_mark(const char *directory, const char *name)
{
	int marked_nr;

	if (name[0] == '\0' || strlen(name) >= 64 || strpbrk(name, "\n\r") != NULL) {
		fprintf(stderr, "quire record: a mark's name has 1 to 63 bytes in one line\n");
		return EXIT_USAGE;
	}
	marked_nr = kernel_trace_mark(directory, name);
	if (marked_nr == 0)
		fprintf(stderr, "quire record: nothing is recording here; start `quire record` in "
				"another terminal\n");
	return marked_nr > 0 ? EXIT_OK : EXIT_FOUND;
}

static enum exit_status record_all(struct recording *recording)
{
	const struct record_request *request = recording->request;
	uint64_t buffer_bytes =
		request->buffer_bytes != 0 ? request->buffer_bytes : BUFFER_BYTES_DEFAULT;
	int records = unnamed_open(request->output);
	FILE *file = records >= 0 ? fdopen(records, "w+") : NULL;
	const char *fake = getenv("QUIRE_TRACEFS");
	enum exit_status status = EXIT_FOUND;
	bool is_recorded;

	if (file == NULL) {
		fprintf(stderr, "quire record: %s: %s\n", request->output, strerror(errno));
		return EXIT_UNWRITTEN;
	}
	katr_writer_init(&recording->writer, file);
	recording->writer.page_shift =
		(uint32_t)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
	kernel_samples_init(&recording->samples, &recording->writer, recording->proc,
			    fake == NULL ? "/sys/kernel/debug" : NULL);
	block_signals(recording);
	is_recorded = kernel_trace_open(&recording->trace, recording->directory,
					&recording->formats, buffer_bytes, request->output) == 0 &&
		      record(recording) == 0;
	unblock_signals(recording);
	if (is_recorded)
		status = convert(recording);
	kernel_trace_close(&recording->trace);
	kernel_samples_fini(&recording->samples);
	katr_writer_fini(&recording->writer);
	return status;
}

enum exit_status record_kernel(const struct record_request *request)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	enum exit_status status = EXIT_USAGE;

	if (recording == NULL)
		return command_no_memory("record");
	recording->request = request;
	recording->proc = getenv("QUIRE_PROC") != NULL ? getenv("QUIRE_PROC") : "/proc";
	recording->is_watched = isatty(STDERR_FILENO) == 1;
	recording->kinds = parse_kinds(request->events);
	if (recording->kinds != 0)
		recording->directory = kernel_trace_directory();
	if (recording->directory != NULL && request->mark != NULL) {
		status = set_mark(recording->directory, request->mark);
	} else if (recording->directory != NULL &&
		   kernel_formats_read(&recording->formats, recording->directory,
				       recording->kinds) == 0) {
		status = record_all(recording);
	}
	free(recording);
	return status;
}
