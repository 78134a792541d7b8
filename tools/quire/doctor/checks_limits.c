/* SPDX-License-Identifier: MIT */
/* checks_limits.c - what bounds a process, who says that memory is short, and who can look at it */
#include "doctor/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <quire/quire.h>

#include "machine/linux/pressure.h"
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

/* As a worker's thread opens it. */
static void look_pressure(struct finding *finding)
{
	struct work_watch watch;

	pressure_init(&watch);
	watch.wanted = 1;
	pressure_open(&watch, 0);
	if (watch.state == WORK_PRESSURE_GROUP) {
		found(finding, FINDING_OK,
		      "of the cgroup: free memory goes back before anything is refused");
	} else if (watch.state == WORK_PRESSURE_SYSTEM) {
		found(finding, FINDING_OK, "of the whole system, not of a cgroup");
	} else {
		found(finding, FINDING_MISSING,
		      "refused (%s): memory goes back when it is due, not when the system is short "
		      "of it",
		      strerrorname_np(-watch.error));
		mend(finding, "boot with psi=1, or a kernel with CONFIG_PSI; in a service "
			      "MemoryPressureWatch=on");
	}
	pressure_close(&watch);
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

static void look_observed(struct finding *finding)
{
	char path[OBSERVED_PATH_BYTES];
	struct observed_file file;
	int error = observed_create(&file, PAGE_BYTES);

	if (error == 0) {
		(void)observed_folder(path, file.folder);
		observed_remove(&file);
		found(finding, FINDING_OK, "observe:on writes to %.150s", path);
		return;
	}
	(void)observed_folder(path, OBSERVED_FOLDERS_NR - 1);
	found(finding, FINDING_MISSING,
	      "no folder for observe:on (%.100s: %s): `quire stats` finds nothing", path,
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
