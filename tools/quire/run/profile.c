/* SPDX-License-Identifier: MIT */
#include "run/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/output.h"
#include "malloc/linux/pprof.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void run_profile_begin(struct run_profile *profile, const struct preload *preload)
{
	*profile = (struct run_profile){ .shift = preload->profile_shift, .begin_ns = now_ns() };
	if (profile->shift == 0)
		return;
	traces_open(&profile->traces, preload_profile(preload), REPORT_STACKS_BYTES);
	profile->first_maps = preload_profile(preload) + REPORT_STACKS_BYTES;
	profile->seen_bytes = traces_used(&profile->traces);
}

void run_profile_end(struct run_profile *profile)
{
	free(profile->maps);
}

/* The text of a file in /proc, or NULL. */
static char *read_text(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (file != NULL && getdelim(&text, &room, '\0', file) <= 0) {
		free(text);
		text = NULL;
	}
	if (file != NULL)
		fclose(file);
	return text;
}

void run_profile_look(struct run_profile *profile, pid_t pid)
{
	char path[64], *maps;
	ssize_t bytes;

	if (profile->traces.head == NULL || traces_used(&profile->traces) == profile->seen_bytes)
		return;
	profile->seen_bytes = traces_used(&profile->traces);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	bytes = readlink(path, profile->program, sizeof(profile->program) - 1);
	profile->program[bytes > 0 ? bytes : 0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = read_text(path);
	if (maps == NULL)
		return;
	free(profile->maps);
	profile->maps = maps;
}

/* Of the file that is there now. */
static bool read_file(void *arg, const struct pprof_module *module, uint64_t offset, void *to,
		      size_t bytes)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	(void)arg;
	if (module->path[0] != '/' || module->path_bytes >= sizeof(path))
		return false;
	memcpy(path, module->path, module->path_bytes);
	path[module->path_bytes] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	n = pread(fd, to, bytes, (off_t)offset);
	close(fd);
	return n == (ssize_t)bytes;
}

static int write_to(void *arg, const void *bytes, size_t bytes_nr)
{
	return fwrite(bytes, 1, bytes_nr, arg) == bytes_nr ? 0 : -EIO;
}

/* Whoever is killed in the middle of a line leaves a text all the same: the memory read zero. */
static const char *maps_of(const struct run_profile *profile)
{
	return profile->maps != NULL ? profile->maps : profile->first_maps;
}

int run_profile_write(const struct run_profile *profile, const char *path)
{
	size_t scratch_bytes = pprof_scratch_bytes(&profile->traces);
	void *scratch = malloc(scratch_bytes);
	struct output output;
	struct pprof pprof = {
		.traces = &profile->traces,
		.mean_shift = profile->shift,
		.time_ns = profile->begin_ns,
		.duration_ns = now_ns() - profile->begin_ns,
		.maps = maps_of(profile),
		.program = profile->program,
		.read = read_file,
		.write = write_to,
		.arg = output_begin(&output),
		.scratch = scratch,
		.scratch_bytes = scratch_bytes,
	};
	int error = -ENOMEM;

	if (pprof.arg != NULL && scratch != NULL)
		error = pprof_write(&pprof);
	if (pprof.arg != NULL && error == 0) {
		error = output_end(&output, path);
	} else if (pprof.arg != NULL) {
		fclose(output.file);
		free(output.text);
	}
	free(scratch);
	return error;
}
