/* SPDX-License-Identifier: MIT */
/*
 * again.c - libquire-run.so: what the program becomes by exec runs on Quire, too
 *
 * `quire run` preloads it without --children, behind libquire-malloc.  It stands before libc's exec calls.  In the
 * process that the command started they get an environment that brings both libraries along (malloc/run_again.h);
 * in its children, also of vfork(), they are what they were.  Shells make the environment of an exec of their own
 * variables, so putting the libraries into environ would not do.
 *
 * Nothing is done that may not be done between vfork() and exec: no allocation but a mapping of the calling process's
 * own, and none at all in children.  The exception is a call before this library's constructor, by that of another one: it
 * looks libc's calls up with dlsym(), which takes the loader's lock.  Calls are passed to whoever stands behind.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "malloc/run_again.h"

#define EXPORTED __attribute__((visibility("default")))

struct calls {
	int (*execve)(const char *path, char *const *arguments, char *const *environment);
	int (*execv)(const char *path, char *const *arguments);
	int (*execvp)(const char *file, char *const *arguments);
	int (*execvpe)(const char *file, char *const *arguments, char *const *environment);
	int (*fexecve)(int fd, char *const *arguments, char *const *environment);
	int (*execveat)(int fd, const char *path, char *const *arguments, char *const *environment,
			int flags);
};

/* The constructor writes all of it, and is_ready last. */
static struct {
	struct calls next;
	struct run_again again;
	pid_t own_pid; /* 0: nothing is asked */
	bool is_ready; /* atomic */
} begun;

static bool is_ready(void)
{
	return load_acquire(&begun.is_ready); /* pairs with begin() */
}

static struct calls look_up(void)
{
	struct calls next;

	*(void **)&next.execve = dlsym(RTLD_NEXT, "execve");
	*(void **)&next.execv = dlsym(RTLD_NEXT, "execv");
	*(void **)&next.execvp = dlsym(RTLD_NEXT, "execvp");
	*(void **)&next.execvpe = dlsym(RTLD_NEXT, "execvpe");
	*(void **)&next.fexecve = dlsym(RTLD_NEXT, "fexecve");
	*(void **)&next.execveat = dlsym(RTLD_NEXT, "execveat");
	return next;
}

/* Other libraries' constructors, and threads that they made, may call before this one's has run: each looks for itself. */
static struct calls find_next(void)
{
	return is_ready() ? begun.next : look_up();
}

/* A copy that stays, whatever the program does to what it was given; or NULL. */
static const char *keep(const char *text)
{
	size_t bytes = strlen(text) + 1;
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory != MAP_FAILED ? memcpy(memory, text, bytes) : NULL;
}

static __attribute__((constructor)) void begin(int argc, char **argv, char **environment)
{
	const char *value = run_again_take(environment);

	(void)argc;
	(void)argv;
	if (value != NULL)
		value = keep(value);
	if (value != NULL && run_again_parse(value, &begun.again))
		begun.own_pid = (pid_t)syscall(SYS_getpid);
	begun.next = look_up();
	store_release(&begun.is_ready, true); /* pairs with is_ready() */
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
	char **made;
	void *memory;

	if (!is_ready() || begun.own_pid == 0 || (pid_t)syscall(SYS_getpid) != begun.own_pid ||
	    run_again_is_asked(environment))
		return renewed;
	renewed.bytes = run_again_bytes(&begun.again, environment);
	memory = mmap(NULL, renewed.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (memory == MAP_FAILED)
		return renewed;
	made = run_again_environment(&begun.again, environment, memory, renewed.bytes);
	if (made == NULL) { /* another thread's setenv(): the call is passed on as it is */
		munmap(memory, renewed.bytes);
		return renewed;
	}
	renewed.memory = memory;
	renewed.environment = made;
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
	struct calls next = find_next();

	return give_up(&renewed, next.execve(path, argv, renewed.environment));
}

EXPORTED int execv(const char *path, char *const argv[])
{
	struct renewed renewed = renew(environ);
	struct calls next = find_next();

	if (renewed.memory == NULL)
		return next.execv(path, argv);
	return give_up(&renewed, next.execve(path, argv, renewed.environment));
}

EXPORTED int execvp(const char *file, char *const argv[])
{
	struct renewed renewed = renew(environ);
	struct calls next = find_next();

	if (renewed.memory == NULL)
		return next.execvp(file, argv);
	return give_up(&renewed, next.execvpe(file, argv, renewed.environment));
}

EXPORTED int execvpe(const char *file, char *const argv[], char *const envp[])
{
	struct renewed renewed = renew(envp);
	struct calls next = find_next();

	return give_up(&renewed, next.execvpe(file, argv, renewed.environment));
}

EXPORTED int fexecve(int fd, char *const argv[], char *const envp[])
{
	struct renewed renewed = renew(envp);
	struct calls next = find_next();

	return give_up(&renewed, next.fexecve(fd, argv, renewed.environment));
}

EXPORTED int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	struct renewed renewed = renew(envp);
	struct calls next = find_next();
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
