/* SPDX-License-Identifier: MIT */
/* machine_observed_test - files that others read: their numbers, what an exec leaves, folders, and who else has descriptors */
#include "quire_test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "machine/observed.h"
#include "scratch.h"

#define BYTES ((size_t)8192)

static void put_path(char *path, size_t bytes, const struct observed_process *process,
		     uint32_t file)
{
	int used = snprintf(path, bytes, "%s/quire/%u-%" PRIu64 "-%" PRIu64, scratch, process->pid,
			    process->start_ticks, process->pids_space);

	if (file != 1)
		snprintf(path + used, bytes - (size_t)used, ".%u", file);
}

static bool is_there(const struct observed_file *file, uint32_t number)
{
	char path[256];

	put_path(path, sizeof(path), &file->process, number);
	return access(path, F_OK) == 0;
}

static struct observed_process *process_in(const struct observed_file *file)
{
	return (struct observed_process *)((char *)file->addr + OBSERVED_PROCESS_OFFSET);
}

static void make(struct observed_file *file, uint32_t number)
{
	assert_int_equal(observed_create(file, BYTES), 0);
	assert_int_equal(file->process.file, number);
	assert_int_equal(process_in(file)->file, number);
	assert_int_equal(process_in(file)->pid, getpid());
	assert_true(is_there(file, number));
}

/* ---- claims ---- */

static void each_file_has_the_lowest_number_that_is_free(void **state)
{
	struct observed_file one, two, again;

	(void)state;
	make(&one, 1);
	make(&two, 2);
	observed_remove(&one);
	assert_false(is_there(&two, 1));
	assert_true(is_there(&two, 2));
	make(&again, 1);
	observed_remove(&again);
	observed_remove(&two);
	assert_false(is_there(&two, 2));
}

/* Another library's in the process is kept, and so is one of which nothing can be told yet. */
static void what_was_there_before_exec_goes_and_nothing_else(void **state)
{
	struct observed_file before[5], now;

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		make(&before[i], i + 1);
	process_in(&before[0])->image ^= 16;
	process_in(&before[1])->image ^= 16;
	process_in(&before[3])->program++;
	memset(process_in(&before[4]), 0, sizeof(struct observed_process));
	make(&now, 1);
	assert_false(is_there(&now, 2));
	assert_true(is_there(&now, 3));
	assert_false(is_there(&now, 4));
	assert_true(is_there(&now, 5));
	observed_remove(&before[0]); /* not the file that has its name now */
	assert_true(is_there(&now, 1));
	observed_remove(&now);
	for (uint32_t i = 1; i < 5; i++)
		observed_remove(&before[i]);
	assert_false(is_there(&now, 5));
}

static void a_child_does_not_remove_its_parents_file(void **state)
{
	struct observed_file file;
	pid_t pid;

	(void)state;
	make(&file, 1);
	pid = fork();
	if (pid == 0) {
		observed_remove(&file);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(is_there(&file, 1));
	observed_remove(&file);
	assert_false(is_there(&file, 1));
}

/* 77: no file system may be mounted here. */
static int use_full_folder(void)
{
	struct observed_file file;
	char name[64];

	if (!confine_hide(scratch))
		return 77;
	if (mount(NULL, scratch, NULL, MS_REMOUNT, "size=4k") != 0)
		return 77;
	if (observed_create(&file, BYTES) != 0)
		return 1;
	memset(file.addr, 1, BYTES); /* has memory */
	if (is_there(&file, 1))
		return 2;
	observed_remove(&file);
	snprintf(name, sizeof(name), "/dev/shm/quire-%u/%u-%" PRIu64 "-%" PRIu64, geteuid(),
		 file.process.pid, file.process.start_ticks, file.process.pids_space);
	return access(name, F_OK) == 0 ? 3 : 0;
}

static void where_one_folder_is_full_the_other_is_used(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(use_full_folder());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip_because("no file system may be mounted here");
	assert_int_equal(status, 0);
}

/* ---- a program with its own idea of descriptors ---- */

static unsigned taken_at; /* which of Quire's opened files is taken away at once; 0: none */
static unsigned opened_nr;
static char own_path[64];
static int own; /* what the program opened under its number */

/* Quire's calls come here.  It reads six arguments whatever it was given, also what is none. */
__attribute__((noinline, no_sanitize("address")))
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's header has names of its own. */
long syscall(long number, ...)
{
	long (*real)(long number, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long argument[6], result;
	va_list args;

	va_start(args, number);
	for (unsigned i = 0; i < 6; i++)
		argument[i] = va_arg(args, long);
	va_end(args);
	result = real(number, argument[0], argument[1], argument[2], argument[3], argument[4],
		      argument[5]);
	if (number == SYS_openat && result >= 0 && ++opened_nr == taken_at) {
		close((int)result);
		own = open(own_path, O_RDWR | O_CREAT, 0600);
		assert_int_equal(own, result);
	}
	return result;
}

/* As where a daemon closes everything as it begins, and opens files of its own, while the worker makes a page. */
static void what_a_program_opens_in_the_place_of_ours_is_left_alone(void **state)
{
	struct observed_file file;
	unsigned all_nr;

	(void)state;
	snprintf(own_path, sizeof(own_path), "%s/own", scratch);
	opened_nr = 0;
	make(&file, 1);
	all_nr = opened_nr; /* two of /proc, the folder, the file */
	observed_remove(&file);
	assert_true(all_nr >= 4);
	for (taken_at = all_nr - 1; taken_at <= all_nr; taken_at++) {
		struct stat status;

		opened_nr = 0;
		own = -1;
		if (observed_create(&file, BYTES) == 0) /* in the other folder, or after all */
			observed_remove(&file);
		assert_int_equal(fstat(own, &status), 0);
		assert_u64_eq(status.st_size, 0);
		assert_int_equal(stat(own_path, &status), 0);
		close(own);
	}
	taken_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_has_the_lowest_number_that_is_free),
		cmocka_unit_test(what_was_there_before_exec_goes_and_nothing_else),
		cmocka_unit_test(a_child_does_not_remove_its_parents_file),
		cmocka_unit_test(where_one_folder_is_full_the_other_is_used),
		cmocka_unit_test(what_a_program_opens_in_the_place_of_ours_is_left_alone),
	};

	return cmocka_run_group_tests_name("machine_observed", tests, scratch_make_runtime,
					   scratch_remove);
}
