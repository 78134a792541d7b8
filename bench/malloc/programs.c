/* SPDX-License-Identifier: MIT */
/*
 * programs.c - time and peak memory of real programs
 *
 * Method  programs/program prepares a directory for each and is then started in it by launch_child.c with the
 *         library preloaded, contenders in turn.  redis: programs/redis starts a server, and clients that
 *         are not preloaded.
 * Read    Milliseconds of CPU time of the program and all that it started, and the largest peak of
 *         resident memory among them.  Means as in stress.c; redis is not part of them.
 * Refused Programs that are not installed, and samples that fail.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "harness/measure.h"
#include "malloc/means.h"

#define LEFT_OUT   (BIT(CONTENDER_GUARDED) | BIT(CONTENDER_FLOOR) | BIT(CONTENDER_MMAP))
#define MIB_OF_KIB (1.0 / 1024)
#define NOT_THERE  77

enum {
	PROGRAM_WALL_MS,
	PROGRAM_CPU_US,
	PROGRAM_PEAK_KIB,
	PROGRAM_VALUES
};

static const char *const programs[][2] = {
	{ "python", "python3, PYTHONMALLOC=malloc" },
	{ "sqlite", "sqlite3, a database in memory" },
	{ "gcc", "gcc, four files of Quire" },
	{ "git", "git repack of Quire's history" },
	{ "node", "node: objects, buffers, JSON" },
	{ "perl", "perl: hashes of arrays of hashes" },
};

#define PROGRAMS_NR (sizeof(programs) / sizeof(programs[0]))

/* The script's command line in @command; @what is "prepare" or "run". */
static const char *program_command(const char *what, const char *name, char *command, size_t bytes)
{
	snprintf(command, bytes, "exec %s/bench/malloc/programs/program %s %s %s", BENCH_SOURCE,
		 what, name, BENCH_SOURCE);
	return command;
}

static bool program_prepare(const char *name, const char *directory)
{
	char command[1024], line[2048];
	int status;

	snprintf(line, sizeof(line), "cd %s && %s", directory,
		 program_command("prepare", name, command, sizeof(command)));
	status = system(line);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_THERE)
		fprintf(stderr, "quire-bench: %s is not there: left out\n", name);
	return status == 0;
}

static void directory_remove(const char *directory)
{
	char line[256];

	snprintf(line, sizeof(line), "rm -rf %s", directory);
	if (system(line) != 0)
		fprintf(stderr, "quire-bench: %s stays behind\n", directory);
}

/* Measures one program; false if it is not there. */
static bool program_measure(const struct options *options, const bool *there, const char *name,
			    struct table *table)
{
	char directory[] = "/tmp/quire-bench-XXXXXX", command[1024];
	const struct ask ask = {
		.argv = { "launch", directory, "1",
			  program_command("run", name, command, sizeof(command)) },
		.left_out = LEFT_OUT,
		.values_nr = PROGRAM_VALUES,
		.launches = true,
		.memory_bytes = (size_t)512 << 20,
	};
	bool is_there;

	if (!mkdtemp(directory))
		return false;
	is_there = program_prepare(name, directory);
	if (is_there)
		measure(options, &ask, there, table);
	directory_remove(directory);
	return is_there;
}

void bench_programs(const struct options *options)
{
	static struct table tables[PROGRAMS_NR];
	struct means time = { .nr = 0 }, peak = { .nr = 0 };
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("programs: ms of CPU time", LEFT_OUT, FLOOR_NONE);
	for (size_t i = 0; i < PROGRAMS_NR; i++) {
		struct line line = { .value = PROGRAM_CPU_US, .scale = 0.001 };

		snprintf(line.name, sizeof(line.name), "programs/%s/time", programs[i][0]);
		snprintf(line.what, sizeof(line.what), "%s", programs[i][1]);
		if (!row_chosen(options, line.name) ||
		    !program_measure(options, there, programs[i][0], &tables[i]))
			continue;
		line_print(options, &line, &tables[i]);
		means_add(&time, &tables[i], PROGRAM_CPU_US);
		means_add(&peak, &tables[i], PROGRAM_PEAK_KIB);
	}
	table_head("programs: MiB at the peak", LEFT_OUT, FLOOR_NONE);
	for (size_t i = 0; i < PROGRAMS_NR; i++) {
		struct line line = { .value = PROGRAM_PEAK_KIB, .scale = MIB_OF_KIB };

		snprintf(line.name, sizeof(line.name), "programs/%s/peak", programs[i][0]);
		snprintf(line.what, sizeof(line.what), "%s", programs[i][1]);
		if (tables[i].reps != 0)
			line_print(options, &line, &tables[i]);
	}
	table_head("programs: geometric means, of mimalloc", LEFT_OUT, FLOOR_NONE);
	means_print(options, &time, "programs: time", 0.9);
	means_print(options, &peak, "programs: peak", 0.9);
}

/* ---- redis ---- */

enum {
	REDIS_SETS,
	REDIS_LOADED,
	REDIS_EMPTIED,
	REDIS_VALUES,
	REDIS_US = REDIS_VALUES, /* computed: of a SET, so that less is better */
};

void bench_redis(const struct options *options)
{
	static struct table table;
	const struct ask ask = { .argv = { "script", BENCH_SOURCE "/bench/malloc/programs/redis",
					   options->quick ? "quick" : "full" },
				 .left_out = LEFT_OUT,
				 .values_nr = REDIS_VALUES,
				 .reps = options->quick ? 1 : 3,
				 .launches = true,
				 .memory_bytes = (size_t)512 << 20 };
	const struct line lines[] = {
		{ .name = "redis/set",
		  .what = "SET of 100 B: us each",
		  .value = REDIS_US,
		  .peer_max = 1,
		  .wanted = "the best peer's" },
		{ .name = "redis/loaded",
		  .what = "resident when loaded: MiB",
		  .value = REDIS_LOADED,
		  .scale = MIB_OF_KIB,
		  .peer_max = 1,
		  .wanted = "the best peer's" },
		{ .name = "redis/emptied",
		  .what = "10 s after FLUSHALL: MiB",
		  .value = REDIS_EMPTIED,
		  .scale = MIB_OF_KIB,
		  .peer_max = 1,
		  .wanted = "the best peer's" },
	};
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("redis-server", LEFT_OUT, FLOOR_NONE);
	measure(options, &ask, there, &table);
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		for (unsigned rep = 0; rep < table.reps; rep++)
			if (table.values[who][rep][REDIS_SETS] > 0)
				table.values[who][rep][REDIS_US] =
					1e6 / table.values[who][rep][REDIS_SETS];
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		line_print(options, &lines[i], &table);
}
