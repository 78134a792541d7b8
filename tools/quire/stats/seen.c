/* SPDX-License-Identifier: MIT */
/*
 * seen.c - observed pages: finding them, and reading one
 *
 * A process's page is in one of two folders (machine/linux/observed.c) as the process itself sees them, so a process in a
 * container is looked up below /proc/PID/root, under the number that it has in there. Its start tells it from
 * an earlier process of the same number.  A process that is gone, or whose root may not be looked into, is looked up in the
 * caller's own folders.
 *
 * Whoever writes a page may be hostile: a file is read, never mapped, so that it may shrink meanwhile, and everything is
 * checked in the copy.
 */
#include "stats/seen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "machine/handed.h"
#include "stat/figures.h"

/* A section is written in well below a millisecond, four times a second. */
#define TRIES	    1000
#define FOLDERS_MAX 16 /* others than a process's own two are those of users that it was before */

/* Which file of a folder is meant; 0 stands for any. */
struct match {
	uint32_t pid; /* as the process itself has it */
	uint64_t start_ticks, space;
	uint32_t instance;
};

/* ---- reading a page ---- */

static bool read_at(int fd, void *to, size_t bytes, size_t offset)
{
	return pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

static bool is_inside(const struct page_section *section, size_t size)
{
	return section->offset <= size && section->room_bytes <= size - section->offset &&
	       section->bytes < section->room_bytes;
}

/* What a page says is shown on terminals: what could steer one is not, but for @kept. */
static void clean(char *text, size_t bytes, const char *kept)
{
	text[bytes - 1] = '\0';
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < 0x20 || *text == 0x7f) && strchr(kept, *text) == NULL)
			*text = '?';
}

/* Reads a section, whose entry is at @at, as it was at one time.  If its writer ended in the middle, or was stopped there, the text
 * is what there is, and the page torn.  False if it is not inside the file of @size bytes. */
static bool read_section(int fd, size_t size, size_t at, struct seen *seen, unsigned idx)
{
	struct page_section *copy = &seen->section[idx], after;

	for (unsigned i = 0; i < TRIES; i++) {
		if (!read_at(fd, copy, sizeof(*copy), at) || !is_inside(copy, size))
			return false;
		atomic_thread_fence(memory_order_seq_cst);
		if (!read_at(fd, seen->text + copy->offset, copy->bytes, copy->offset))
			return false;
		seen->text[copy->offset + copy->bytes] = '\0';
		atomic_thread_fence(memory_order_seq_cst);
		if (!read_at(fd, &after, sizeof(after), at))
			return false;
		if (copy->seq % 2 == 0 && after.seq == copy->seq)
			return true;
		usleep(100);
	}
	seen->torn = true;
	return true;
}

/* The header's own parts, which say where the rest is. */
static int read_header(int fd, size_t size, struct seen *seen)
{
	struct page_header *header = &seen->header;
	const size_t known = offsetof(struct page_header, section);
	size_t room;

	if (!read_at(fd, header, known, 0))
		return -EPROTO;
	if (header->magic == 0)
		return -ENOENT;
	if (header->magic != PAGE_MAGIC || header->version != PAGE_VERSION ||
	    header->header_bytes < known || header->section_bytes < sizeof(struct page_section) ||
	    header->sections_offset < header->header_bytes || header->sections_offset % 8 != 0 ||
	    header->section_bytes % 8 != 0 || header->sections_offset > size)
		return -EPROTO;
	room = (size - header->sections_offset) / header->section_bytes;
	clean(header->process.command, sizeof(header->process.command), "");
	seen->sections_nr =
		header->sections_nr < SEEN_SECTIONS_MAX ? header->sections_nr : SEEN_SECTIONS_MAX;
	return header->sections_nr <= room ? 0 : -EPROTO;
}

static int read_parts(int fd, size_t size, struct seen *seen)
{
	int error = read_header(fd, size, seen);

	seen->torn = false;
	for (unsigned i = 0; !error && i < seen->sections_nr; i++) {
		size_t at = seen->header.sections_offset + (size_t)i * seen->header.section_bytes;

		if (read_section(fd, size, at, seen, i))
			clean(seen->text + seen->section[i].offset, seen->section[i].bytes + 1,
			      "\n\t");
		else
			error = -EPROTO;
	}
	return error;
}

static double age_of(const struct seen *seen)
{
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 -
		  (double)seen->header.updated_ns * 1e-9;
	return seconds > 0 ? seconds : 0;
}

/* Does not wait for whoever has the other end of a pipe, either. */
static int read_page(int folder, const char *name, struct seen *seen)
{
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int error = -EPROTO;
	struct stat status;

	if (fd < 0)
		return errno == ELOOP ? -EPROTO : -errno;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= SEEN_BYTES_MAX)
		error = status.st_size != 0 ? read_parts(fd, (size_t)status.st_size, seen)
					    : -ENOENT;
	close(fd);
	seen->age_seconds = age_of(seen);
	return error;
}

/* ---- processes ---- */

/* Whether the process of a page lives, in this process's pid namespace. */
static bool is_alive(const struct match *found)
{
	return found->start_ticks != 0 && found->space == handed_pids_space() &&
	       observed_start_ticks(found->pid) == found->start_ticks;
}

/* What /proc/PID/status says of a process. */
struct status {
	unsigned inner_pid; /* in its own pid namespace: the last of NSpid */
	unsigned uid;	    /* effective */
};

static struct status status_of(uint32_t pid)
{
	struct status status = { .inner_pid = pid, .uid = geteuid() };
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "NSpid:", 6) == 0)
			(void)sscanf(strrchr(line, '\t') + 1, "%u", &status.inner_pid);
		else if (strncmp(line, "Uid:", 4) == 0)
			(void)sscanf(line, "Uid: %*u %u", &status.uid);
	if (file != NULL)
		fclose(file);
	return status;
}

bool seen_variable(uint32_t pid, const char *name, char *value, size_t bytes)
{
	char path[64], *entry = NULL;
	size_t room = 0, name_bytes = strlen(name);
	bool is_found = false;
	FILE *file;

	value[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%u/environ", pid);
	file = fopen(path, "re");
	while (file != NULL && getdelim(&entry, &room, '\0', file) > 0)
		if (strncmp(entry, name, name_bytes) == 0 && entry[name_bytes] == '=') {
			snprintf(value, bytes, "%s", entry + name_bytes + 1);
			is_found = true;
		}
	free(entry);
	if (file != NULL)
		fclose(file);
	return is_found;
}

/* ---- folders ---- */

struct folders {
	char path[FOLDERS_MAX][PATH_MAX];
	unsigned nr;
};

__attribute__((format(printf, 2, 3))) static void add_folder(struct folders *folders,
							     const char *format, ...)
{
	va_list args;
	int bytes;

	va_start(args, format);
	bytes = vsnprintf(folders->path[folders->nr], PATH_MAX, format, args);
	va_end(args);
	if (bytes > 0 && bytes < PATH_MAX)
		folders->nr++;
}

/* All folders quire-UID below @shared: a process in a container, or one that has another user now, does not write to that of its
 * own number. */
static void add_others(struct folders *folders, const char *shared)
{
	DIR *entries = opendir(shared);
	struct dirent *entry;

	while (entries != NULL && folders->nr < FOLDERS_MAX && (entry = readdir(entries)) != NULL)
		if (strncmp(entry->d_name, "quire-", 6) == 0)
			add_folder(folders, "%s/%.64s", shared, entry->d_name);
	if (entries != NULL)
		closedir(entries);
}

/* Those of a living process, its own first: others can make a page that is named like its. */
static void folders_of(uint32_t pid, unsigned uid, struct folders *folders)
{
	char runtime[PATH_MAX], shared[64];

	*folders = (struct folders){ .nr = 0 };
	if (seen_variable(pid, "XDG_RUNTIME_DIR", runtime, sizeof(runtime)) && runtime[0] == '/')
		add_folder(folders, "/proc/%u/root%.3000s/quire", pid, runtime);
	snprintf(shared, sizeof(shared), "/proc/%u/root/dev/shm", pid);
	add_folder(folders, "%s/quire-%u", shared, uid);
	add_others(folders, shared);
}

/* The caller's own. */
static void folders_own(struct folders *folders)
{
	char path[OBSERVED_PATH_BYTES];

	*folders = (struct folders){ .nr = 0 };
	for (unsigned i = 0; i < OBSERVED_FOLDERS_NR; i++)
		if (observed_folder(path, i))
			add_folder(folders, "%s", path);
}

/* ---- choosing ---- */

/* True if @a is rather to be shown than @b. */
static bool is_better(const struct seen *a, const struct seen *b)
{
	if (a->alive != b->alive)
		return a->alive;
	return a->alive ? seen_used_bytes(a) > seen_used_bytes(b) : a->age_seconds < b->age_seconds;
}

/* The name of a page says whose it is. */
static bool name_parse(const char *name, struct match *found)
{
	unsigned long long start = 0, space = 0;
	unsigned pid = 0, instance = 1;
	int end = 0;

	if (sscanf(name, "%u-%llu-%llu%n", &pid, &start, &space, &end) != 3)
		return false;
	if (name[end] != '\0' && sscanf(name + end, ".%u", &instance) != 1)
		return false;
	*found = (struct match){
		.pid = pid, .start_ticks = start, .space = space, .instance = instance
	};
	return true;
}

static bool name_fits(const char *name, const struct match *match, struct match *found)
{
	return name_parse(name, found) && (match->pid == 0 || match->pid == found->pid) &&
	       (match->start_ticks == 0 || match->start_ticks == found->start_ticks) &&
	       found->instance == (match->instance != 0 ? match->instance : 1);
}

/* Reads the folder's pages that fit, and keeps the best.  0, or the last error if none could be read. */
static int search_folder(const char *path, const struct match *match, uint32_t outside,
			 struct seen *best, struct seen *one)
{
	int folder, result = -ENOENT;
	DIR *entries;
	struct dirent *entry;

	snprintf(best->path, sizeof(best->path), "%s", path);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0) /* a link, or no folder: not one that the library made */
		return errno == ELOOP || errno == ENOTDIR ? -ENOENT : -errno;
	entries = fdopendir(folder);
	if (entries == NULL) {
		close(folder);
		return -ENOMEM;
	}
	while ((entry = readdir(entries)) != NULL) {
		struct match found;
		int error;

		if (!name_fits(entry->d_name, match, &found))
			continue;
		snprintf(one->path, sizeof(one->path), "%.3000s/%.200s", path, entry->d_name);
		error = read_page(folder, entry->d_name, one);
		one->pid = outside != 0 ? outside : found.pid;
		one->alive = outside != 0 || is_alive(&found);
		if (error && error != -ENOENT && result != 0) {
			result = error;
			memcpy(best->path, one->path, sizeof(best->path));
		} else if (!error && (result != 0 || is_better(one, best))) {
			*best = *one;
			result = 0;
		}
	}
	closedir(entries);
	return result;
}

/* Over all folders: success counts, then what is more than "not there".  Of a process that is known, the first folder's. */
static int search(const struct folders *folders, const struct match *match, uint32_t outside,
		  struct seen *best)
{
	struct seen *one = calloc(2, sizeof(*one));
	int result = -ENOENT;

	if (one == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < folders->nr; i++) {
		struct seen *here = &one[1];
		int error = search_folder(folders->path[i], match, outside, here, &one[0]);

		if (error == 0 && (result != 0 || is_better(here, best)))
			*best = *here;
		else if (error != 0 && error != -ENOENT && result != 0)
			memcpy(best->path, here->path, sizeof(best->path));
		if (result != 0 && error != -ENOENT)
			result = error;
		if (result == 0 && outside != 0)
			break;
	}
	free(one);
	return result;
}

int seen_find(const struct seen_wanted *wanted, struct seen *seen)
{
	struct match match = { .pid = wanted->pid, .instance = wanted->instance };
	struct folders folders;
	uint64_t start = wanted->pid != 0 ? observed_start_ticks(wanted->pid) : 0;
	int error = -ENOENT, error_own;

	if (start != 0) {
		struct status status = status_of(wanted->pid);
		struct match living = { .pid = status.inner_pid,
					.start_ticks = start,
					.instance = wanted->instance };

		folders_of(wanted->pid, status.uid, &folders);
		error = search(&folders, &living, wanted->pid, seen);
		if (error != -ENOENT && error != -EACCES)
			return error;
		match.start_ticks = start;
	}
	folders_own(&folders);
	error_own = search(&folders, &match, 0, seen);
	return error_own == -ENOENT ? error : error_own;
}

/* ---- what the dead left ---- */

#define KEPT_NR 16u

struct left {
	char path[PATH_MAX];
	struct timespec changed;
};

static int later_first(const void *a, const void *b)
{
	const struct timespec *one = &((const struct left *)a)->changed;
	const struct timespec *two = &((const struct left *)b)->changed;

	if (one->tv_sec != two->tv_sec)
		return one->tv_sec < two->tv_sec ? 1 : -1;
	return one->tv_nsec < two->tv_nsec ? 1 : -(one->tv_nsec > two->tv_nsec);
}

/* Adds the folder's pages of dead processes to @lefts, which grows.  Returns how many there are now. */
static size_t add_left(const char *folder, uint64_t space, struct left **lefts, size_t nr)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		struct match found;
		struct stat status;
		struct left *more;

		if (!name_parse(entry->d_name, &found) || found.space != space ||
		    is_alive(&found) ||
		    fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		more = realloc(*lefts, (nr + 1) * sizeof(*more));
		if (more == NULL)
			break;
		*lefts = more;
		snprintf(more[nr].path, PATH_MAX, "%.3000s/%.200s", folder, entry->d_name);
		more[nr++].changed = status.st_mtim;
	}
	if (entries != NULL)
		closedir(entries);
	else if (fd >= 0)
		close(fd);
	return nr;
}

void seen_prune(void)
{
	uint64_t space = handed_pids_space();
	struct left *lefts = NULL;
	struct folders folders;
	size_t nr = 0;

	folders_own(&folders);
	for (unsigned i = 0; i < folders.nr; i++)
		nr = add_left(folders.path[i], space, &lefts, nr);
	if (nr > KEPT_NR)
		qsort(lefts, nr, sizeof(*lefts), later_first);
	for (size_t i = KEPT_NR; i < nr; i++)
		(void)unlink(lefts[i].path);
	free(lefts);
}

/* ---- what is in it ---- */

static const struct page_section *find_section(const struct seen *seen, const char *name)
{
	for (unsigned i = 0; i < seen->sections_nr; i++)
		if (strncmp(seen->section[i].name, name, sizeof(seen->section[i].name)) == 0)
			return &seen->section[i];
	return NULL;
}

const char *seen_section(const struct seen *seen, const char *name)
{
	const struct page_section *section = find_section(seen, name);

	return section != NULL ? seen->text + section->offset : NULL;
}

bool seen_is_cut(const struct seen *seen, const char *name)
{
	const struct page_section *section = find_section(seen, name);

	return section != NULL && section->whole_bytes > section->bytes;
}

bool seen_number(const struct seen *seen, const char *module, const char *name, uint64_t *value)
{
	const char *at = seen_section(seen, "json"), *end;
	char key[96];

	snprintf(key, sizeof(key), "\"%s\":{", module);
	at = at != NULL ? strstr(at, key) : NULL;
	end = at != NULL ? strchr(at, '}') : NULL;
	if (end == NULL)
		return false;
	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(at, key);
	if (at == NULL || at > end)
		return false;
	*value = strtoull(at + strlen(key), NULL, 10);
	return true;
}

uint64_t seen_figure(const struct seen *seen, const char *module, const char *name)
{
	uint64_t value = 0;

	seen_number(seen, module, name, &value);
	return value;
}

bool seen_row(const struct seen *seen, const struct figure *figure, uint64_t *value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", figure->name, figure_suffix(figure));
	return seen_number(seen, figure_module(figure), name, value);
}

uint64_t seen_free_page_bytes(const struct seen *seen)
{
	uint64_t idle =
		seen_figure(seen, "page", "free_bytes") + seen_figure(seen, "page", "cached_bytes");
	uint64_t unbacked = seen_figure(seen, "page", "unbacked_bytes");

	return idle > unbacked ? idle - unbacked : 0;
}

uint64_t seen_used_bytes(const struct seen *seen)
{
	return seen_figure(seen, "page", "allocated_bytes") +
	       seen_figure(seen, "vmap", "busy_bytes") +
	       seen_figure(seen, "percpu", "populated_bytes");
}
