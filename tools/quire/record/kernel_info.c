/* SPDX-License-Identifier: MIT */
#include "record/kernel_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void put_machine(struct katr_writer *writer)
{
	time_t now = time(NULL);
	struct utsname machine;
	char date[32] = "";
	struct tm day;

	if (gmtime_r(&now, &day) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%d", &day);
	if (uname(&machine) == 0) {
		katr_writer_info(writer, "kernel", "%s %s %s %s", machine.sysname, machine.release,
				 machine.version, machine.machine);
		katr_writer_info(writer, "arch", "%s", machine.machine);
	}
	katr_writer_info(writer, "memtotal_kB", "%ld",
			 sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024));
	katr_writer_info(writer, "possible_cpus", "0-%u", writer->cpus_nr - 1);
	katr_writer_info(writer, "clock", "mono");
	katr_writer_info(writer, "recorded", "%s", date);
}

/* The arguments of this process. */
static void put_command(struct katr_writer *writer)
{
	FILE *file = fopen("/proc/self/cmdline", "r");
	char text[1024];
	size_t nr = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file != NULL)
		fclose(file);
	for (size_t i = 0; i < nr; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	/* A NUL ends the last one, too. */
	text[nr > 0 ? nr - 1 : 0] = '\0';
	katr_writer_info(writer, "command", "%s", text);
}

static void put_events(struct katr_writer *writer, const struct kernel_formats *formats)
{
	char names[2048] = "";
	size_t nr = 0;

	for (int op = 0; op < KERNEL_EVENTS_NR; op++)
		if (formats->events[op].is_present && op != KERNEL_PRINT && op != KERNEL_STACK)
			nr += (size_t)snprintf(names + nr, sizeof(names) - nr, "%s%s:%s",
					       nr > 0 ? "," : "", kernel_events[op].system,
					       kernel_events[op].name);
	katr_writer_info(writer, "events", "%s", names);
}

static void put_events_counted(struct katr_writer *writer, const struct kernel_convert *convert)
{
	const struct kernel_stream *stream = convert->stream;
	uint64_t events_nr = 0;
	char key[64];

	for (int op = 0; op < KERNEL_EVENTS_NR; op++)
		events_nr += stream->raw[op];
	katr_writer_info(writer, "raw_events", "%" PRIu64, events_nr);
	katr_writer_info(writer, "raw_unknown", "%" PRIu64, stream->others_nr);
	for (int op = 0; op < KERNEL_EVENTS_NR; op++) {
		if (stream->raw[op] == 0)
			continue;
		snprintf(key, sizeof(key), "raw.%s", kernel_events[op].name);
		katr_writer_info(writer, key, "%" PRIu64, stream->raw[op]);
	}
	katr_writer_info(writer, "own_allocs_left_out", "%" PRIu64, convert->own_nr);
	katr_writer_info(writer, "page.partial_frees", "%" PRIu64, convert->partial_frees_nr);
	katr_writer_info(writer, "page.splits", "%" PRIu64, convert->splits_nr);
	katr_writer_info(writer, "page.mismatches", "%" PRIu64, convert->mismatches_nr);
	katr_writer_info(writer, "page.batched_unmatched", "%" PRIu64,
			 stream->batched_unmatched_nr);
}

void kernel_info_put(const struct kernel_convert *convert, const struct kernel_about *about)
{
	struct katr_writer *writer = convert->writer;

	katr_writer_name(writer, about->path);
	katr_writer_info(writer, "workload", "the running kernel, by quire record");
	put_command(writer);
	put_machine(writer);
	katr_writer_info(writer, "seconds", "%.1f", about->seconds);
	katr_writer_info(writer, "gt_interval_ms", "%u", about->interval_ms);
	put_events(writer, convert->formats);
	live_counts_put_info(convert->counts, writer);
	put_events_counted(writer, convert);
}
