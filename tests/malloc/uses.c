/* SPDX-License-Identifier: MIT */
/*
 * uses.c WAY - a program that uses malloc in one of several ways: run by start_test.c
 *
 * Status 0: it was served.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Private memory of a program like "ls", 192 kB on 2 CPUs: 64 are blocks, which would be 36 side by side. */
#define LIKE_LS_KIB_MAX 212

enum {
	REFUSED = 3,
	WRONG = 4,
	NO_SUCH_WAY = 5,
	SYSTEM_REFUSES = 6,
};

static unsigned char *take(size_t bytes)
{
	unsigned char *block = malloc(bytes);

	if (block == NULL)
		_exit(REFUSED);
	memset(block, (int)(bytes % 251), bytes);
	return block;
}

static void give(unsigned char *block, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 13)
		if (block[i] != bytes % 251)
			_exit(WRONG);
	free(block);
}

/* Up to @most bytes at a time, in blocks of all sizes up to 200 KB. */
static void use(size_t most)
{
	enum {
		BLOCKS = 256
	};
	static _Thread_local struct {
		unsigned char *at;
		size_t bytes;
	} block[BLOCKS];
	size_t held = 0, random = 12345;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned which = i % BLOCKS;

		if (block[which].at != NULL)
			give(block[which].at, block[which].bytes);
		held -= block[which].bytes;
		block[which].at = NULL;
		block[which].bytes = 0;
		random = random * 6364136223846793005u + 1442695040888963407u;
		if (i >= 20000 - BLOCKS)
			continue;
		block[which].bytes = 1 + (random >> 33) % (i % 16 == 0 ? 200000 : 2000);
		if (held + block[which].bytes > most)
			block[which].bytes = 10;
		block[which].at = take(block[which].bytes);
		held += block[which].bytes;
	}
}

static void *use_some(void *arg)
{
	(void)arg;
	use(4u << 20);
	return NULL;
}

static void with_threads(unsigned threads_nr, size_t stack_bytes)
{
	pthread_attr_t attr;
	pthread_t ids[16];

	pthread_attr_init(&attr);
	if (stack_bytes != 0 && pthread_attr_setstacksize(&attr, stack_bytes) != 0)
		_exit(SYSTEM_REFUSES);
	for (unsigned i = 0; i < threads_nr; i++)
		if (pthread_create(&ids[i], &attr, use_some, NULL) != 0)
			_exit(SYSTEM_REFUSES);
	for (unsigned i = 0; i < threads_nr; i++)
		pthread_join(ids[i], NULL);
}

static void plainly(void)
{
	use(64u << 20);
	malloc_trim(0);
	use(64u << 20);
}

static void little(void)
{
	use(4u << 20);
}

static void threads(void)
{
	with_threads(8, 0);
}

/* The kernel's least, and the thread-local data above. */
static void small_stacks(void)
{
	with_threads(8, 16384 + 8192);
}

static void locked(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		_exit(SYSTEM_REFUSES);
	use(4u << 20);
	malloc_trim(0);
}

/* Until nothing is left; then what is freed can be had again. */
static void to_the_end(void)
{
	enum {
		BLOCKS = 100000
	};
	static void *blocks[BLOCKS];
	unsigned n = 0;

	while (n < BLOCKS && (blocks[n] = malloc(3000)) != NULL)
		n++;
	if (n == BLOCKS)
		_exit(WRONG);
	if (errno != ENOMEM || malloc(1000000000) != NULL)
		_exit(WRONG);
	for (unsigned i = 0; i < n; i++)
		free(blocks[i]);
	for (unsigned i = 0; i < n * 9 / 10; i++)
		if ((blocks[i] = malloc(3000)) == NULL)
			_exit(REFUSED);
}

static void without_descriptors(void)
{
	struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

	if (setrlimit(RLIMIT_NOFILE, &none) != 0)
		_exit(SYSTEM_REFUSES);
	plainly();
	with_threads(4, 0);
}

/* What the library opens it closes, or marks; none of it has the number of a standard stream. */
static void leaves_descriptors(void)
{
	int before = dup(0), after;

	close(before);
	plainly();
	after = dup(0);
	/* The worker has one for a moment while it reads a file. */
	for (unsigned i = 0; after > before && i < 200; i++) {
		close(after);
		usleep(10000);
		after = dup(0);
	}
	if (after > before)
		_exit(WRONG);
}

static void without_streams(void)
{
	int fd;

	use(4u << 20);
	fd = open("/dev/null", O_RDWR);
	/* The lowest one is still free, but for the moment in which the worker reads a file. */
	for (unsigned i = 0; fd != 0 && i < 200; i++) {
		close(fd);
		usleep(10000);
		fd = open("/dev/null", O_RDWR);
	}
	if (fd != 0)
		_exit(WRONG);
	malloc_stats();
}

/* Bytes of mappings that the kernel charges, to the process's account where it never overcommits. */
static size_t charged_bytes(void)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	size_t charged = 0, kib = 0;
	char line[512];

	if (maps == NULL)
		_exit(SYSTEM_REFUSES);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (strncmp(line, "Size:", 5) == 0)
			kib = strtoul(line + 5, NULL, 10);
		else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " ac") != NULL)
			charged += kib << 10;
	}
	fclose(maps);
	return charged;
}

/* Reserved addresses are charged to nobody, only what is committed. */
static void charged(void)
{
	use(4u << 20);
	if (charged_bytes() < (1u << 20) || charged_bytes() > (64u << 20))
		_exit(WRONG);
	plainly();
	malloc_trim(0);
}

/* With another user's rights. */
static void privileged(void)
{
	if (geteuid() == getuid())
		_exit(SYSTEM_REFUSES);
	use(4u << 20);
	free(take(100u << 20));
}

/* The variable that would forbid it is read. */
static void unprivileged(void)
{
	if (geteuid() != getuid() || malloc(100u << 20) != NULL)
		_exit(WRONG);
}

/* The calls that other allocators seldom have. */
static void arrays(void)
{
	size_t *array = NULL;

	for (size_t n = 1; n < 100000; n *= 3) {
		array = reallocarray(array, n, sizeof(*array));
		if (array == NULL)
			_exit(REFUSED);
		array[n - 1] = n;
	}
	array = realloc(array, sizeof(*array));
	if (array == NULL || array[0] != 1)
		_exit(WRONG);
	free(array);
	use(4u << 20);
}

static void without_environment(void)
{
	clearenv();
	use(4u << 20);
}

/* The number behind @key in a file of /proc; no function is called that may call malloc(). */
static long number_in(const char *file, const char *key)
{
	char text[4096];
	int fd = open(file, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	close(fd);
	if (got <= 0)
		_exit(SYSTEM_REFUSES);
	text[got] = '\0';
	at = strstr(text, key);
	return at == NULL ? -1 : atol(at + strlen(key));
}

/* What "ls" asks for: some blocks each of twenty sizes, and the buffer of a directory.  start_test.c counts between
 * the two marks (tests/lib/calls.h). */
static void like_ls(void)
{
	static const struct {
		unsigned nr, bytes;
	} sizes[] = { { 77, 16 },  { 39, 32 },	{ 61, 48 },  { 26, 64 },  { 14, 80 },
		      { 2, 96 },   { 2, 112 },	{ 2, 128 },  { 1, 160 },  { 1, 192 },
		      { 1, 208 },  { 1, 432 },	{ 2, 480 },  { 1, 624 },  { 1, 800 },
		      { 2, 1024 }, { 1, 1328 }, { 1, 1600 }, { 1, 2048 }, { 2, 4096 } };
	const char *file = "/proc/self/smaps_rollup", *key = "Anonymous:";
	long before = number_in(file, key), after;
	unsigned char *buffer;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)sched_getcpu(), &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus); /* each CPU has sheaves of its own */
	syscall(SYS_getpriority, 0L, 0L);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned nr = 0; nr < sizes[i].nr; nr++)
			take(sizes[i].bytes);
	buffer = malloc(32816);
	if (buffer == NULL)
		_exit(REFUSED);
	buffer[0] = 1;
	free(buffer);
	syscall(SYS_getpriority, 0L, 0L);
	after = number_in(file, key);
	if (before < 0 || after - before > LIKE_LS_KIB_MAX ||
	    number_in("/proc/self/status", "Threads:") != 1) {
		dprintf(2, "%ld kB, %ld threads\n", after - before,
			number_in("/proc/self/status", "Threads:"));
		_exit(WRONG);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{ "plainly", plainly },
	{ "little", little },
	{ "threads", threads },
	{ "small_stacks", small_stacks },
	{ "locked", locked },
	{ "to_the_end", to_the_end },
	{ "without_descriptors", without_descriptors },
	{ "leaves_descriptors", leaves_descriptors },
	{ "without_streams", without_streams },
	{ "without_environment", without_environment },
	{ "charged", charged },
	{ "privileged", privileged },
	{ "unprivileged", unprivileged },
	{ "arrays", arrays },
	{ "like_ls", like_ls },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) == 0) {
			ways[i].run();
			return 0;
		}
	}
	return NO_SUCH_WAY;
}
