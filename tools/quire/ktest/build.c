/* SPDX-License-Identifier: MIT */
/* build.c - a module compiled as a program and run, with what it prints kept */
#include "ktest/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/beside.h"
#include "run/preload.h"

#define PROGRAM "module"
#define PRINTED "printed"

/* Room for either in the kit's folder. */
#define WORK_PATH_BYTES (PATH_MAX + sizeof("/printed"))

/* A module that hangs is stopped: the longest takes seconds. */
#define SECONDS_MAX 600

/* ---- the kit ---- */

static bool has_headers(const char *folder)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/quire/linux/module.h", folder) < PATH_MAX &&
	       access(path, R_OK) == 0;
}

/* Installed they are in the folder beside bin/, and a build's folder is beside the source's include/. */
static bool find_headers(struct kit *kit, const char *headers, char *error, size_t error_bytes)
{
	if (headers != NULL)
		(void)snprintf(kit->headers, sizeof(kit->headers), "%s", headers);
	else if (!beside_path(kit->headers, sizeof(kit->headers), "../include"))
		kit->headers[0] = '\0';
	if (has_headers(kit->headers))
		return true;
	snprintf(error, error_bytes, "no quire/linux/module.h in %s: --headers says where it is",
		 kit->headers);
	return false;
}

static bool find_libraries(struct kit *kit, char *error, size_t error_bytes)
{
	char development[PATH_MAX + sizeof("/libquire.so")];

	if (!preload_find_library(kit->malloc, error, error_bytes))
		return false;
	(void)snprintf(kit->library, sizeof(kit->library), "%s", kit->malloc);
	*strrchr(kit->library, '/') = '\0';
	(void)snprintf(development, sizeof(development), "%s/libquire.so", kit->library);
	if (access(development, R_OK) == 0)
		return true;
	snprintf(error, error_bytes,
		 "cannot find libquire.so, which libquire-dev has: looked for %s", development);
	return false;
}

bool kit_find(struct kit *kit, const char *headers, char *error, size_t error_bytes)
{
	const char *folder = getenv("TMPDIR");

	if (!find_headers(kit, headers, error, error_bytes) ||
	    !find_libraries(kit, error, error_bytes))
		return false;
	if (folder == NULL || folder[0] == '\0')
		folder = "/tmp";
	if (snprintf(kit->work, sizeof(kit->work), "%s/quire-ktest-XXXXXX", folder) < PATH_MAX &&
	    mkdtemp(kit->work) != NULL)
		return true;
	snprintf(error, error_bytes, "%s: %s", kit->work, strerror(errno));
	return false;
}

/* The path of a file in the kit's folder. */
static const char *work_file(const struct kit *kit, const char *file, char path[WORK_PATH_BYTES])
{
	(void)snprintf(path, WORK_PATH_BYTES, "%s/%s", kit->work, file);
	return path;
}

void kit_end(struct kit *kit)
{
	char path[WORK_PATH_BYTES];

	(void)unlink(work_file(kit, PROGRAM, path));
	(void)unlink(work_file(kit, PRINTED, path));
	(void)rmdir(kit->work);
}

/* ---- a program ---- */

static void say_end(int status, struct ran *ran)
{
	ran->is_ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSIGNALED(status))
		snprintf(ran->ended, sizeof(ran->ended), "%s", strsignal(WTERMSIG(status)));
	else
		snprintf(ran->ended, sizeof(ran->ended), "exit status %d", WEXITSTATUS(status));
}

/* All of the file; NULL with errno set. */
static char *read_text(int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	char *text = bytes < 0 ? NULL : malloc((size_t)bytes + 1);
	ssize_t got = text == NULL ? -1 : pread(fd, text, (size_t)bytes, 0);

	if (got < 0) {
		free(text);
		return NULL;
	}
	text[got] = '\0';
	return text;
}

/* What a module has beyond the environment: a malloc, and any page may be mapped again, as in the kernel. */
static bool set_environment(const char *preloaded)
{
	return setenv("LD_PRELOAD", preloaded, 1) == 0 &&
	       setenv("QUIRE_CONF", "backing:memfd", 0) == 0;
}

/* In the child: becomes the program.  A library to preload, or NULL for the compiler. */
static _Noreturn void become(char *const *arguments, int printed, const char *preloaded)
{
	int nothing = open("/dev/null", O_RDONLY);

	if (nothing >= 0 && dup2(nothing, 0) == 0 && dup2(printed, 1) == 1 &&
	    dup2(printed, 2) == 2 && (preloaded == NULL || set_environment(preloaded))) {
		(void)alarm(SECONDS_MAX);
		(void)execvp(arguments[0], arguments);
	}
	dprintf(printed, "%s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

/* 0 or -errno. */
static int wait_for(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int run_program(const struct kit *kit, char *const *arguments, const char *preloaded,
		       struct ran *ran)
{
	char path[WORK_PATH_BYTES];
	int fd = open(work_file(kit, PRINTED, path), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int status, error;
	pid_t child;

	if (fd < 0)
		return -errno;
	child = fork();
	if (child == 0)
		become(arguments, fd, preloaded);
	error = child < 0 ? -errno : wait_for(child, &status);
	if (error == 0) {
		say_end(status, ran);
		ran->text = read_text(fd);
		if (ran->text == NULL)
			error = -errno;
	}
	close(fd);
	return error;
}

/* ---- a module ---- */

/* As the kernel's: "lib/test-module.c" is test_module. */
static void name_define(const char *source, char *define, size_t bytes)
{
	const char *slash = strrchr(source, '/');
	const char *file = slash != NULL ? slash + 1 : source;
	int length = (int)strcspn(file, ".");

	(void)snprintf(define, bytes, "-DKBUILD_MODNAME=\"%.*s\"", length, file);
	for (char *at = strchr(define, '='); *at != '\0'; at++)
		if (*at == '-')
			*at = '_';
}

int module_build(const struct kit *kit, const char *source, struct ran *ran)
{
	char shapes[PATH_MAX + sizeof("/quire")], run_path[PATH_MAX + sizeof("-Wl,-rpath,")];
	char program[WORK_PATH_BYTES], define[NAME_MAX + sizeof("-DKBUILD_MODNAME=\"\"")];
	const char *arguments[] = {
		kit->compiler, "-std=gnu11",	"-O",	   "-g",     "-fno-strict-aliasing",
		"-w",	       "-D_GNU_SOURCE", define,	   "-I",     shapes,
		"-I",	       kit->headers,	source,	   "-o",     program,
		"-L",	       kit->library,	"-lquire", run_path, "-pthread",
		NULL,
	};

	(void)snprintf(shapes, sizeof(shapes), "%s/quire", kit->headers);
	(void)snprintf(run_path, sizeof(run_path), "-Wl,-rpath,%s", kit->library);
	name_define(source, define, sizeof(define));
	(void)work_file(kit, PROGRAM, program);
	return run_program(kit, (char *const *)(uintptr_t)arguments, NULL, ran);
}

int module_run(const struct kit *kit, const char *const *parameters, struct ran *ran)
{
	char program[WORK_PATH_BYTES];
	const char *arguments[PARAMETERS_MAX + 2] = { work_file(kit, PROGRAM, program) };

	for (unsigned i = 0; i < PARAMETERS_MAX && parameters[i] != NULL; i++)
		arguments[i + 1] = parameters[i];
	return run_program(kit, (char *const *)(uintptr_t)arguments, kit->malloc, ran);
}
