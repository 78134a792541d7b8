/* SPDX-License-Identifier: MIT */
/* checks_limits.c - what bounds a process, who says that memory is short, and who can look at it */
#include "doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quire/quire.h>

#include "stat/page.h"
#include "stats/stats.h"

/* The line of quire_text_limits() that begins with @name: its value and where it comes from. */
static bool limit_line(const char *name, uint64_t *value, char *source, size_t bytes)
{
	struct quire *q;
	char text[1024], *at;
	int begins = 0;

	if (quire_create(NULL, &q) != 0)
		return false;
	quire_text_limits(q, text, sizeof(text));
	quire_destroy(q);
	at = strstr(text, name);
	if (at == NULL || sscanf(at + strlen(name), " %" SCNu64 " %n", value, &begins) != 1)
		return false;
	snprintf(source, bytes, "%.*s", (int)strcspn(at + strlen(name) + begins, "\n"),
		 at + strlen(name) + begins);
	return true;
}

static void look_limit(struct finding *finding)
{
	uint64_t bytes = 0;
	char source[128] = "";

	if (!limit_line("limit", &bytes, source, sizeof(source)))
		found(finding, FINDING_NOTE, "not tried: no memory");
	else
		found(finding, FINDING_NOTE, "%s, %s", stats_bytes(bytes), source);
}

/* ---- pressure ---- */

static bool takes_trigger(const char *path)
{
	static const char trigger[] = "some 200000 2000000";
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	bool takes = fd >= 0 && write(fd, trigger, sizeof(trigger)) == (ssize_t)sizeof(trigger);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return takes;
}

/* The process's cgroup of version 2: the line 0::PATH. */
static bool group_pressure(char *path, size_t bytes)
{
	char line[1024] = "";
	FILE *file = fopen("/proc/self/cgroup", "re");
	bool is_found = false;

	while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL)
		is_found = strncmp(line, "0::/", 4) == 0;
	if (file != NULL)
		fclose(file);
	if (!is_found)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return snprintf(path, bytes, "/sys/fs/cgroup%s/memory.pressure",
			strcmp(line + 3, "/") == 0 ? "" : line + 3) < (int)bytes;
}

static void look_pressure(struct finding *finding)
{
	char path[1100];

	if (group_pressure(path, sizeof(path)) && takes_trigger(path)) {
		found(finding, FINDING_OK,
		      "of the cgroup: free memory goes back before anything is refused");
	} else if (takes_trigger("/proc/pressure/memory")) {
		found(finding, FINDING_OK, "of the whole system, not of a cgroup");
	} else {
		found(finding, FINDING_MISSING,
		      "refused (%s): memory goes back when it is due, not when the system is short "
		      "of it",
		      strerrorname_np(errno));
		mend(finding, "boot with psi=1, or a kernel with CONFIG_PSI; in a service "
			      "MemoryPressureWatch=on");
	}
}

/* ---- mappings and addresses ---- */

static void look_mappings(struct finding *finding)
{
	char line[64];
	unsigned long most = 0;

	if (read_line("/proc/sys/vm/max_map_count", line, sizeof(line)))
		most = strtoul(line, NULL, 10);
	if (most == 0)
		found(finding, FINDING_NOTE,
		      "vm.max_map_count cannot be read: Quire adds few mappings then");
	else if (most < 65530) {
		found(finding, FINDING_MISSING,
		      "vm.max_map_count is %lu: few mappings for huge pages, guards and aliases",
		      most);
		mend(finding, "sysctl vm.max_map_count=65530");
	} else {
		found(finding, FINDING_OK,
		      "vm.max_map_count is %lu, of which Quire adds an eighth at most", most);
	}
}

static void look_addresses(struct finding *finding)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
		found(finding, FINDING_OK, "not limited");
		return;
	}
	found(finding, FINDING_MISSING, "RLIMIT_AS is %s: Quire takes half of it at most",
	      stats_bytes(limit.rlim_cur));
	mend(finding, "ulimit -v unlimited (systemd: LimitAS=infinity); bound memory by a cgroup: "
		      "MemoryMax=");
}

/* ---- looking at a process ---- */

/* Makes a file as an observed process does (machine/linux/observed.c), and removes it.  0 or -errno. */
static int try_file(int folder)
{
	char name[32];
	int fd, error;

	snprintf(name, sizeof(name), "doctor-%d", (int)getpid());
	fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = fallocate(fd, 0, 0, PAGE_BYTES) == 0 ? 0 : -errno;
	unlinkat(folder, name, 0);
	close(fd);
	return error;
}

static int try_folder(const char *path)
{
	bool is_made = mkdir(path, 0700) == 0;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), error;
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0 || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
		error = -EPERM; /* others could change what is in it */
	else
		error = try_file(fd);
	close(fd);
	if (is_made)
		rmdir(path);
	return error;
}

static void look_observed(struct finding *finding)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char path[2][128] = { "", "" };
	int error = -ENOENT;

	if (runtime != NULL && runtime[0] == '/')
		snprintf(path[0], sizeof(path[0]), "%.100s/quire", runtime);
	snprintf(path[1], sizeof(path[1]), "/dev/shm/quire-%u", geteuid());
	for (unsigned i = 0; i < 2; i++) {
		if (path[i][0] == '\0')
			continue;
		error = try_folder(path[i]);
		if (error == 0) {
			found(finding, FINDING_OK, "observe:on writes to %s", path[i]);
			return;
		}
	}
	found(finding, FINDING_MISSING,
	      "no folder for observe:on (%s: %s): `quire stats` finds nothing", path[1],
	      strerrorname_np(-error));
	mend(finding,
	     "mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR to a folder of this user's "
	     "alone");
}

static void look_tracefs(struct finding *finding)
{
	static const char *const mounts[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[128];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/events/kmem", mounts[i]);
		if (access(path, R_OK | X_OK) == 0) {
			found(finding, FINDING_OK,
			      "%s can be read: the kernel's allocations can be recorded",
			      mounts[i]);
			return;
		}
	}
	found(finding, FINDING_NOTE,
	      "not readable: the kernel's own allocations cannot be recorded");
	mend(finding, "as root: mount -t tracefs tracefs /sys/kernel/tracing");
}

const struct check checks_limits[] = {
	{ .name = "limit", .look = look_limit },
	{ .name = "pressure", .look = look_pressure },
	{ .name = "mappings", .look = look_mappings },
	{ .name = "addresses", .look = look_addresses },
	{ .name = "observing", .look = look_observed },
	{ .name = "tracefs", .look = look_tracefs },
	{ .name = NULL },
};
