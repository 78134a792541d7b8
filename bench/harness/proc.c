/* SPDX-License-Identifier: MIT */
/* proc.c - see proc.h; reads with plain system calls, so that reading allocates nothing from a
 * subject */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "harness/proc.h"

uint64_t proc_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Reads the beginning of a file into @text; an empty string if it cannot be read. */
static void read_text(const char *path, char *text, size_t bytes)
{
	size_t have = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && have < bytes - 1) {
		ssize_t n = read(fd, text + have, bytes - 1 - have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	text[have] = '\0';
	if (fd >= 0)
		close(fd);
}

/* The number after @key in a file, or 0. */
static uint64_t read_field(const char *path, const char *key)
{
	char text[4096];
	const char *at;

	read_text(path, text, sizeof(text));
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

uint64_t proc_steal_ms(void)
{
	char text[512];
	char *at = text + strlen("cpu ");
	uint64_t ticks = 0;

	read_text("/proc/stat", text, sizeof(text));
	if (strncmp(text, "cpu ", strlen("cpu ")) != 0)
		return 0;
	for (unsigned field = 0; field < 8; field++) /* the eighth is steal */
		ticks = strtoull(at, &at, 10);
	return ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

uint64_t proc_delay_ns(void)
{
	char text[96];
	char *at;

	read_text("/proc/thread-self/schedstat", text, sizeof(text)); /* on CPU, waiting, slices */
	strtoull(text, &at, 10);
	return *at == ' ' ? strtoull(at, NULL, 10) : UINT64_MAX;
}

uint64_t proc_switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_nivcsw;
}

uint64_t proc_rss_kib(void)
{
	return read_field("/proc/self/smaps_rollup", "Rss:");
}

uint64_t proc_peak_rss_kib(void)
{
	return read_field("/proc/self/status", "VmHWM:");
}

uint64_t proc_page_table_kib(void)
{
	return read_field("/proc/self/status", "VmPTE:");
}

unsigned proc_mappings(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	unsigned lines = 0;
	char text[4096];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	if (fd >= 0)
		close(fd);
	return lines;
}

uint64_t proc_file_number(const char *path)
{
	char text[64];

	read_text(path, text, sizeof(text));
	return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

void proc_sleep_ms(unsigned ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}
