/* SPDX-License-Identifier: MIT */
/*
 * program.c - can this program run on Quire?
 *
 * Everything is refused beforehand that would run, but not on Quire: the user would measure another
 * allocator.  A script is its interpreter, and a script for env is the program that env becomes.  A file that
 * may be executed and not be read is not judged: whether the library came alive is seen afterwards.
 */
#include "run/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/command.h"
#include "run/elf.h"

#define SCRIPT_BYTES 256 /* of the first line, as the kernel reads it */
#define SCRIPTS_MAX  5	 /* interpreters that are scripts: the kernel gives up, too */

static int refuse(struct program *program, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct program *program, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(program->error, sizeof(program->error), format, arguments);
	va_end(arguments);
	return status;
}

/* ---- PATH ------------------------------------------------------------------------------------ */

static bool is_executable(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return false;
	if (S_ISREG(status.st_mode) && access(path, X_OK) == 0)
		return true;
	errno = EACCES;
	return false;
}

/* Puts the first executable file of that name into @path.  0, or the errno that says most: EACCES if some
 * file of the name cannot be executed. */
static int search(char path[PATH_MAX], const char *name)
{
	const char *list = getenv("PATH");
	int error = ENOENT;

	if (list == NULL)
		list = "/bin:/usr/bin";
	for (;;) {
		size_t bytes = strcspn(list, ":");
		const char *directory = bytes != 0 ? list : ".";

		if (snprintf(path, PATH_MAX, "%.*s/%s", bytes != 0 ? (int)bytes : 1, directory,
			     name) < PATH_MAX) {
			if (is_executable(path))
				return 0;
			if (errno == EACCES)
				error = EACCES;
		}
		if (list[bytes] == '\0')
			return error;
		list += bytes + 1;
	}
}

static int find(struct program *program, char path[PATH_MAX], const char *name)
{
	int error = ENOENT;

	if (strchr(name, '/') == NULL) {
		error = name[0] != '\0' ? search(path, name) : ENOENT;
	} else if (snprintf(path, PATH_MAX, "%s", name) < PATH_MAX) {
		error = is_executable(path) ? 0 : errno;
	} else {
		error = ENAMETOOLONG;
	}
	if (error == 0)
		return 0;
	return refuse(program, error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "%s: %s",
		      name, strerror(error));
}

/* ---- other rights ---------------------------------------------------------------------------- */

/* With whose rights would it run, if not the caller's?  The loader preloads nothing into such a program.
 * NULL: with the caller's, which a set-user-ID program of the caller's own has, too. */
static const char *other_rights(int fd)
{
	struct statvfs mount;
	struct stat status;

	if (fstat(fd, &status) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) == 1 ||
	    (fstatvfs(fd, &mount) == 0 && (mount.f_flag & ST_NOSUID) != 0))
		return NULL;
	if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid())
		return "a set-user-ID program";
	if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
	    status.st_gid != getgid())
		return "a set-group-ID program";
	if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return "a program with file capabilities";
	return NULL;
}

/* ---- kinds of files -------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Programs whose purpose is to become the one that their arguments name: that one is meant. */
static bool becomes_another(const char *name)
{
	static const char *const names[] = { "env",    "nice",	  "nohup", "setsid",  "stdbuf",
					     "ionice", "taskset", "chrt",  "prlimit", "setarch" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* What this program itself is; the library is built for the same. */
static const struct elf_facts *own_facts(void)
{
	static struct elf_facts facts;
	int fd;

	if (facts.kind != ELF_NOT)
		return &facts;
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_read(fd, &facts) != 0)
		facts.kind = ELF_NOT;
	if (fd >= 0)
		close(fd);
	return &facts;
}

static int judge_elf(struct program *program, const char *path, const struct elf_facts *facts)
{
	const struct elf_facts *own = own_facts();

	if (facts->kind == ELF_NOT)
		return refuse(program, EXIT_USAGE,
			      "%s: neither an ELF program nor a script that names its interpreter",
			      path);
	if (facts->kind == ELF_BROKEN)
		return refuse(program, EXIT_USAGE, "%s: not a valid ELF program: %s", path,
			      facts->broken);
	if (facts->kind == ELF_FOREIGN ||
	    (own->kind == ELF_DYNAMIC && facts->machine != own->machine))
		return refuse(program, EXIT_USAGE, "%s: built for another architecture", path);
	if (facts->kind == ELF_STATIC)
		return refuse(program, EXIT_USAGE,
			      "%s: statically linked, so no library can be preloaded", path);
	if (own->kind == ELF_DYNAMIC &&
	    strcmp(base_name(facts->loader), base_name(own->loader)) != 0)
		return refuse(program, EXIT_USAGE,
			      "%s: its loader is %s; the library is built for %s", path,
			      facts->loader, base_name(own->loader));
	if (facts->malloc != NULL)
		return refuse(program, EXIT_USAGE, "%s: has a malloc of its own (%s)", path,
			      facts->malloc);
	return 0;
}

static int judge(struct program *program, const char *path, unsigned depth);

/* The next word of @*text, ended by a NUL in place, or NULL. */
static char *next_word(char **text)
{
	char *word = *text + strspn(*text, " \t");
	size_t bytes = strcspn(word, " \t");

	if (bytes == 0)
		return NULL;
	*text = word[bytes] != '\0' ? word + bytes + 1 : word + bytes;
	word[bytes] = '\0';
	return word;
}

/* The program that env becomes: the first word that is neither an option nor an assignment. */
static int judge_env(struct program *program, char *words, unsigned depth)
{
	char path[PATH_MAX];
	char *word = next_word(&words);
	int status;

	while (word != NULL && (word[0] == '-' || strchr(word, '=') != NULL))
		word = next_word(&words);
	if (word == NULL)
		return 0;
	status = find(program, path, word);
	return status != 0 ? status : judge(program, path, depth + 1);
}

/* @line: what follows "#!". */
static int judge_script(struct program *program, const char *script, char *line, unsigned depth)
{
	char *interpreter = next_word(&line);
	char path[PATH_MAX];
	int status;

	if (interpreter == NULL)
		return refuse(program, EXIT_USAGE, "%s: a script without an interpreter", script);
	if (depth == SCRIPTS_MAX)
		return refuse(program, EXIT_NOT_EXECUTABLE, "%s: %s", script, strerror(ELOOP));
	if (!is_executable(interpreter))
		return refuse(program, errno == EACCES ? EXIT_NOT_EXECUTABLE : EXIT_NOT_FOUND,
			      "%s: its interpreter %s: %s", script, interpreter, strerror(errno));
	snprintf(path, sizeof(path), "%s", interpreter);
	status = judge(program, path, depth + 1);
	if (status == 0 && strcmp(base_name(path), "env") == 0)
		status = judge_env(program, line, depth);
	return status;
}

static int judge_file(struct program *program, const char *path, int fd, unsigned depth)
{
	char line[SCRIPT_BYTES + 1];
	ssize_t bytes = pread(fd, line, SCRIPT_BYTES, 0);
	struct elf_facts facts;
	const char *rights;
	int error;

	if (bytes >= 2 && memcmp(line, "#!", 2) == 0) {
		line[bytes] = '\0';
		line[strcspn(line, "\n")] = '\0';
		return judge_script(program, path, line + 2, depth);
	}
	if (becomes_another(base_name(path)))
		program->becomes_another = true;
	rights = other_rights(fd);
	if (rights != NULL)
		return refuse(program, EXIT_USAGE, "%s: %s, into which no library can be preloaded",
			      path, rights);
	error = elf_read(fd, &facts);
	if (error != 0)
		return refuse(program, EXIT_USAGE, "%s: %s", path, strerror(-error));
	return judge_elf(program, path, &facts);
}

static int judge(struct program *program, const char *path, unsigned depth)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int status;

	if (fd < 0)
		return 0;
	status = judge_file(program, path, fd, depth);
	close(fd);
	return status;
}

int program_find(struct program *program, const char *name)
{
	int status;

	program->becomes_another = false;
	program->error[0] = '\0';
	status = find(program, program->path, name);
	return status != 0 ? status : judge(program, program->path, 0);
}
