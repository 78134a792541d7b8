/* SPDX-License-Identifier: MIT */
#include "run/preload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/beside.h"
#include "machine/handed.h"
#include "machine/observed.h"
#include "malloc/run_again.h"
#include "malloc/run_environment.h"

#define LIBRARY "libquire-malloc.so.0"
/* In the same directory, or installed in quire/ there.  The second one has all that the first one has. */
#define AGAIN	"libquire-run.so"
#define RECORD	"libquire-record.so"

/* Out of the way of programs that expect the lowest numbers to be free, until the library closes it. */
#define FD_MIN 200

/* ---- the library ----------------------------------------------------------------------------- */

/* QUIRE_LIBDIR is relative to the prefix, which holds bin/, or absolute. */
static bool installed_path(char path[PATH_MAX])
{
	char directory[PATH_MAX];

	if (QUIRE_LIBDIR[0] == '/')
		return snprintf(path, PATH_MAX, "%s/%s", QUIRE_LIBDIR, LIBRARY) < PATH_MAX;
	return beside_path(directory, sizeof(directory), "..") &&
	       snprintf(path, PATH_MAX, "%s/%s/%s", directory, QUIRE_LIBDIR, LIBRARY) < PATH_MAX;
}

static bool find_again(struct preload *preload, char *error, size_t error_bytes)
{
	static const char *const folders[] = { "", "quire/" };
	const char *name = preload->is_recorded ? RECORD : AGAIN;
	const char *slash = strrchr(preload->library, '/');
	int bytes = slash != NULL ? (int)(slash - preload->library) + 1 : 0;

	for (unsigned i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (snprintf(preload->again, PATH_MAX, "%.*s%s%s", bytes, preload->library,
			     folders[i], name) < PATH_MAX &&
		    access(preload->again, R_OK) == 0)
			return true;
	snprintf(error, error_bytes, "cannot find %s: looked for it beside %s and in quire/ there",
		 name, preload->library);
	return false;
}

bool preload_find_library(char library[PATH_MAX], char *error, size_t error_bytes)
{
	char beside[PATH_MAX] = "", installed[PATH_MAX] = "";

	if ((!beside_path(beside, sizeof(beside), LIBRARY) || access(beside, R_OK) != 0 ||
	     snprintf(library, PATH_MAX, "%s", beside) >= PATH_MAX) &&
	    (!installed_path(installed) || realpath(installed, library) == NULL)) {
		snprintf(error, error_bytes, "cannot find %s: looked for %s and %s", LIBRARY,
			 beside, installed);
		return false;
	}
	if (strpbrk(library, " :") == NULL)
		return true;
	snprintf(error, error_bytes, "%s: the loader takes no path with a space or a colon in it",
		 library);
	return false;
}

bool preload_find(struct preload *preload, char *error, size_t error_bytes)
{
	return preload_find_library(preload->library, error, error_bytes) &&
	       find_again(preload, error, error_bytes);
}

/* ---- the shared memory ----------------------------------------------------------------------- */

/* The same file under a high number, if there is one. */
static int move_up(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

static uint32_t parts_nr(const struct preload *preload)
{
	if (!preload->is_counted)
		return 0;
	return preload->children ? REPORT_PARTS_NR : 1;
}

static int fill(struct preload *preload)
{
	struct report_header *header = preload->header;

	*header = (struct report_header){ .magic = REPORT_MAGIC,
					  .version = REPORT_VERSION,
					  .profile_shift = preload->profile_shift,
					  .pids_space = handed_pids_space(),
					  .parts_nr = parts_nr(preload) };
	if (getrandom(&header->cookie, sizeof(header->cookie), 0) != sizeof(header->cookie))
		return -errno;
	return 0;
}

/* As large as the parts that there can be; only what is written takes memory. */
static int make(struct preload *preload)
{
	size_t bytes = report_part_offset(parts_nr(preload)) +
		       (preload->profile_shift != 0 ? REPORT_PROFILE_BYTES : 0);
	void *mapped;

	if (ftruncate(preload->fd, (off_t)bytes) != 0 ||
	    fcntl(preload->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -errno;
	mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, preload->fd, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	preload->header = mapped;
	return fill(preload);
}

int preload_share(struct preload *preload)
{
	int fd = memfd_create("quire-run", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	preload->fd = move_up(fd);
	return make(preload);
}

/* ---- the environment ------------------------------------------------------------------------- */

static int set(const char *name, const char *value)
{
	return setenv(name, value, 1) != 0 ? -errno : 0;
}

/* Sets @name to what is printed. */
static int set_printed(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int set_printed(const char *name, const char *format, ...)
{
	va_list arguments;
	char *value;
	int error;

	va_start(arguments, format);
	error = vasprintf(&value, format, arguments) < 0 ? -ENOMEM : 0;
	va_end(arguments);
	if (error != 0)
		return error;
	error = set(name, value);
	free(value);
	return error;
}

int preload_first(const char *library)
{
	const char *rest = getenv("LD_PRELOAD");

	if (rest == NULL || rest[0] == '\0')
		return set("LD_PRELOAD", library);
	return set_printed("LD_PRELOAD", "%s:%s", library, rest);
}

/* run_again.h describes the variable. */
static int set_again(const struct preload *preload, const char *request)
{
	return set_printed(RUN_AGAIN_VARIABLE, "%s %s:%s%s%s", request, preload->library,
			   preload->again, preload->conf != NULL ? " " : "",
			   preload->conf != NULL ? preload->conf : "");
}

/* run_environment.h describes the variable. */
static int set_request(const struct preload *preload)
{
	const char *conf = getenv("QUIRE_CONF");
	bool is_shared = preload->header != NULL;
	char request[64];
	int error = 0;

	if (preload->children && !is_shared) /* from an outer command */
		return unsetenv(REPORT_VARIABLE) != 0 ? -errno : 0;
	snprintf(request, sizeof(request), "%s,%d,%d,%" PRIx64, preload->children ? "all" : "once",
		 is_shared ? getppid() : 0, is_shared ? preload->fd : 0,
		 is_shared ? preload->header->cookie : 0);
	if (!preload->children)
		error = set_again(preload, request);
	return error != 0 ? error
			  : set_printed(REPORT_VARIABLE, "%s,%s%s%s", request,
					preload->conf != NULL ? "QUIRE_CONF" : "",
					preload->conf != NULL && conf != NULL ? "=" : "",
					preload->conf != NULL && conf != NULL ? conf : "");
}

int preload_prepare(const struct preload *preload)
{
	int error = set_request(preload);

	if (error == 0 && preload->conf != NULL)
		error = set("QUIRE_CONF", preload->conf);
	if (error == 0 && (!preload->children || preload->is_recorded))
		error = preload_first(preload->again);
	if (error == 0)
		error = preload_first(preload->library);
	if (error == 0 && preload->header != NULL) {
		preload->header->program_who =
			owner_word((uint32_t)getpid(), observed_start_ticks(0));
		error = fcntl(preload->fd, F_SETFD, 0) != 0 ? -errno : 0;
	}
	return error;
}
