/* SPDX-License-Identifier: MIT */
/* leaks WAY: leaves blocks as the way says, without libc's streams, which leave some of their own. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *kept[8]; /* a block that somebody still knows counts, too */

static __attribute__((noinline)) void *make(size_t bytes)
{
	void *volatile block = malloc(bytes);

	return block;
}

static __attribute__((noinline)) void *make_further_in(size_t bytes)
{
	void *volatile block = make(bytes);

	return block;
}

static void leave_some(void)
{
	for (volatile size_t i = 0; i < 3; i++) /* one call, of an address */
		kept[i] = make_further_in(100 + i);
	kept[3] = make(5000);
	free(make(7));
}

static void leave_many(void)
{
	for (volatile size_t i = 0; i < 8; i++)
		kept[i] = aligned_alloc((size_t)16 << i, (size_t)100000 << i);
}

/* One call each, of an address. */
static void leave_some_of_each_call(void)
{
	kept[0] = malloc(101);
	kept[1] = calloc(1, 102);
	kept[2] = realloc(NULL, 103);
	kept[3] = realloc(malloc(1), 104);
	kept[4] = aligned_alloc(64, 105);
	if (posix_memalign(&kept[5], 64, 106) != 0 || posix_memalign(&kept[6], 8, 107) != 0)
		_exit(1);
	kept[7] = reallocarray(NULL, 1, 108);
}

static void in_child(void)
{
	leave_some();
	if (fork() == 0) {
		kept[4] = make(64);
		free(kept[0]);
		exit(0);
	}
	wait(NULL);
	_exit(0);
}

static void other_file_as_error(void)
{
	leave_some();
	close(STDERR_FILENO);
	if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		_exit(1);
}

static void without_error(void)
{
	leave_some();
	close(STDERR_FILENO);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*go)(void);
	} ways[] = {
		{ "some", leave_some },
		{ "many", leave_many },
		{ "of_each_call", leave_some_of_each_call },
		{ "in_child", in_child },
		{ "other_file_as_error", other_file_as_error },
		{ "without_error", without_error },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].name, argv[1]) == 0) {
			ways[i].go();
			return 0;
		}
	}
	free(make(10));
	return argc != 1;
}
