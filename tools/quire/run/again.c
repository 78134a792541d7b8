/* SPDX-License-Identifier: MIT */
/*
 * again.c - libquire-run.so: what the program becomes by exec runs on Quire, too
 *
 * `quire run` preloads it without --children, behind libquire-malloc.  It stands before libc's exec calls.  In the
 * process that the command started they get an environment that brings both libraries along (malloc/run_again.h);
 * in its children, also of vfork(), they are what they were.  Shells make the environment of an exec of their own
 * variables, so putting the libraries into environ would not do.
 *
 * Whatever may be done between vfork() and exec is all that is done here: no allocation but a mapping of the
 * calling process's own, and none at all in children.  Calls are passed to whoever stands behind.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "malloc/run_again.h"

#define EXPORTED __attribute__((visibility("default")))

/* Written before main(). */
static struct run_again again;
static pid_t own_pid; /* 0: nothing is asked */

static struct {
	int (*execve)(const char *path, char *const *arguments, char *const *environment);
	int (*execv)(const char *path, char *const *arguments);
	int (*execvp)(const char *file, char *const *arguments);
	int (*execvpe)(const char *file, char *const *arguments, char *const *environment);
	int (*fexecve)(int fd, char *const *arguments, char *const *environment);
	int (*execveat)(int fd, const char *path, char *const *arguments, char *const *environment,
			int flags);
} next;

/* Calls before this library's constructor come here, too. */
static void find_next(void)
{
	if (next.execve != NULL)
		return;
	*(void **)&next.execveat = dlsym(RTLD_NEXT, "execveat");
	*(void **)&next.fexecve = dlsym(RTLD_NEXT, "fexecve");
	*(void **)&next.execvpe = dlsym(RTLD_NEXT, "execvpe");
	*(void **)&next.execvp = dlsym(RTLD_NEXT, "execvp");
	*(void **)&next.execv = dlsym(RTLD_NEXT, "execv");
	*(void **)&next.execve = dlsym(RTLD_NEXT, "execve");
}

static __attribute__((constructor)) void begin(int argc, char **argv, char **environment)
{
	(void)argc;
	(void)argv;
	find_next();
	if (run_again_take(environment, &again))
		own_pid = (pid_t)syscall(SYS_getpid);
}

/* ---- an environment for one call ------------------------------------------------------------- */

struct renewed {
	char *const *environment;
	void *memory; /* NULL: it is the caller's own */
	size_t bytes;
};

static struct renewed renew(char *const *environment)
{
	struct renewed renewed = { .environment = environment };
	void *memory;

	find_next();
	if (own_pid == 0 || (pid_t)syscall(SYS_getpid) != own_pid ||
	    run_again_is_asked(environment))
		return renewed;
	renewed.bytes = run_again_bytes(&again, environment);
	memory = mmap(NULL, renewed.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		return renewed;
	renewed.memory = memory;
	renewed.environment = run_again_environment(&again, environment, memory);
	return renewed;
}

/* After a call that came back. */
static int give_up(const struct renewed *renewed, int result)
{
	int error = errno;

	if (renewed->memory != NULL)
		munmap(renewed->memory, renewed->bytes);
	errno = error;
	return result;
}

/* ---- the calls ------------------------------------------------------------------------------- */

EXPORTED int execve(const char *path, char *const argv[], char *const envp[])
{
	struct renewed renewed = renew(envp);

	return give_up(&renewed, next.execve(path, argv, renewed.environment));
}

EXPORTED int execv(const char *path, char *const argv[])
{
	struct renewed renewed = renew(environ);

	if (renewed.memory == NULL)
		return next.execv(path, argv);
	return give_up(&renewed, next.execve(path, argv, renewed.environment));
}

EXPORTED int execvp(const char *file, char *const argv[])
{
	struct renewed renewed = renew(environ);

	if (renewed.memory == NULL)
		return next.execvp(file, argv);
	return give_up(&renewed, next.execvpe(file, argv, renewed.environment));
}

EXPORTED int execvpe(const char *file, char *const argv[], char *const envp[])
{
	struct renewed renewed = renew(envp);

	return give_up(&renewed, next.execvpe(file, argv, renewed.environment));
}

EXPORTED int fexecve(int fd, char *const argv[], char *const envp[])
{
	struct renewed renewed = renew(envp);

	return give_up(&renewed, next.fexecve(fd, argv, renewed.environment));
}

EXPORTED int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	struct renewed renewed = renew(envp);
	long result;

	if (next.execveat != NULL)
		result = next.execveat(fd, path, argv, renewed.environment, flags);
	else /* a libc before 2.34 */
		result = syscall(SYS_execveat, fd, path, argv, renewed.environment, flags);
	return give_up(&renewed, (int)result);
}

/* ---- the calls with a list ------------------------------------------------------------------- */

/* Arguments up to the NULL, @first included. */
static size_t count(const char *first, va_list *list)
{
	size_t nr = 0;

	for (const char *one = first; one != NULL; one = va_arg(*list, const char *))
		nr++;
	return nr;
}

static void collect(char **argv, const char *first, va_list *list)
{
	size_t nr = 0;

	for (const char *one = first; one != NULL; one = va_arg(*list, const char *))
		argv[nr++] = (char *)one;
	argv[nr] = NULL;
}

/* An array of the caller's list: on the stack, since nothing may be allocated between vfork() and exec. */
#define ARGUMENTS(argv, first, list)                                                               \
	va_list list;                                                                              \
	va_start(list, first);                                                                     \
	char **argv = __builtin_alloca((count(first, &list) + 1) * sizeof(char *));                \
	va_end(list);                                                                              \
	va_start(list, first);                                                                     \
	collect(argv, first, &list)

EXPORTED int execl(const char *path, const char *arg, ...)
{
	ARGUMENTS(argv, arg, list);
	va_end(list);
	return execv(path, argv);
}

EXPORTED int execlp(const char *file, const char *arg, ...)
{
	ARGUMENTS(argv, arg, list);
	va_end(list);
	return execvp(file, argv);
}

EXPORTED int execle(const char *path, const char *arg, ...)
{
	char *const *envp;

	ARGUMENTS(argv, arg, list);
	envp = va_arg(list, char *const *);
	va_end(list);
	return execve(path, argv, envp);
}
