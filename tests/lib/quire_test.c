/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/linux/sanitizer.h"

#define OUTPUT_BYTES_MAX 4096
#define NS_PER_S	 UINT64_C(1000000000)
#define AWAIT_S		 20u
#define NAP_NS		 200000

void skip_because(const char *why)
{
	print_message("SKIPPED: %s\n", why);
	skip();
}

void skip_if_sanitized(void)
{
	if (MACHINE_ASAN || MACHINE_TSAN)
		skip_because("under a sanitizer");
}

/* In the child: cmocka would turn a crash or a failed assertion into a long jump. */
static void become_plain(void)
{
	static const int signals[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS };
	const struct rlimit no_core = { 0, 0 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &no_core);
	setenv("CMOCKA_TEST_ABORT", "1", 1); /* it prints what failed, and aborts */
}

pid_t child_fork(void)
{
	pid_t parent = getpid(), child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		become_plain();
	}
	return child;
}

bool can_fork(void)
{
	return !MACHINE_TSAN;
}

int child_wait(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

/* Keeps the beginning and reads to the end, so that the child never blocks. */
static void read_all(int fd, char *text, size_t text_bytes)
{
	size_t bytes = 0;
	char chunk[512];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
		size_t room = text_bytes - 1 - bytes;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		if ((size_t)got < room)
			room = (size_t)got;
		memcpy(text + bytes, chunk, room);
		bytes += room;
	}
	text[bytes] = '\0';
}

/* What the child writes to standard error, or with @all to both streams, is in @text. */
static int run_child(void (*body)(void *arg), void *arg, bool all, char *text, size_t bytes)
{
	pid_t child;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	child = child_fork();
	if (child == 0) {
		close(ends[0]);
		dup2(ends[1], STDERR_FILENO);
		if (all)
			dup2(ends[1], STDOUT_FILENO);
		close(ends[1]);
		body(arg);
		_exit(0);
	}
	close(ends[1]);
	read_all(ends[0], text, bytes);
	close(ends[0]);
	return child_wait(child);
}

int child_answer(void (*body)(void *arg), void *arg, char *text, size_t bytes)
{
	int status = run_child(body, arg, true, text, bytes);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool has_line(const char *text, const char *line)
{
	while (text != NULL) {
		if (strncmp(text, line, strlen(line)) == 0)
			return true;
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return false;
}

void expect_death(void (*body)(void *arg), void *arg, const char *line)
{
	char output[OUTPUT_BYTES_MAX];
	int status = run_child(body, arg, false, output, sizeof(output));

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
		fail_msg("expected an abort, got wait status %#x; it wrote: %s", (unsigned)status,
			 output);
	if (!has_line(output, line))
		fail_msg("expected a line that begins \"%s\"; it wrote: %s", line, output);
}

void expect_exit(void (*body)(void *arg), void *arg, int exit_status, const char *line)
{
	char output[OUTPUT_BYTES_MAX];
	int status = run_child(body, arg, false, output, sizeof(output));

	if (!WIFEXITED(status) || WEXITSTATUS(status) != exit_status)
		fail_msg("expected exit status %d, got wait status %#x; it wrote: %s", exit_status,
			 (unsigned)status, output);
	if (!has_line(output, line))
		fail_msg("expected a line that begins \"%s\"; it wrote: %s", line, output);
}

void expect_life(void (*body)(void *arg), void *arg)
{
	char output[OUTPUT_BYTES_MAX];
	int status = run_child(body, arg, false, output, sizeof(output));

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("expected a return, got wait status %#x; it wrote: %s", (unsigned)status,
			 output);
}

struct team_member {
	pthread_t thread;
	pthread_barrier_t *start;
	void (*body)(unsigned index, void *arg);
	void *arg;
	unsigned index;
};

static void *team_member_run(void *arg)
{
	struct team_member *member = arg;

	pthread_barrier_wait(member->start);
	member->body(member->index, member->arg);
	return NULL;
}

void team_run(unsigned threads_nr, void (*body)(unsigned index, void *arg), void *arg)
{
	struct team_member *members = calloc(threads_nr, sizeof(*members));
	pthread_barrier_t start;

	assert_non_null(members);
	assert_int_equal(pthread_barrier_init(&start, NULL, threads_nr), 0);
	for (unsigned i = 0; i < threads_nr; i++) {
		members[i].start = &start;
		members[i].body = body;
		members[i].arg = arg;
		members[i].index = i;
		assert_int_equal(
			pthread_create(&members[i].thread, NULL, team_member_run, &members[i]), 0);
	}
	for (unsigned i = 0; i < threads_nr; i++)
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
	pthread_barrier_destroy(&start);
	free(members);
}

void expect_fork(uint64_t nth, unsigned (*body)(void))
{
	pid_t child = child_fork();
	int status;

	if (child == 0) {
		alarm(30);
		_exit((int)body());
	}
	status = child_wait(child);
	if (status != 0)
		fail_msg("fork %llu: wait status %#x: a signal, or finding %u",
			 (unsigned long long)nth, (unsigned)status, (unsigned)WEXITSTATUS(status));
}

void signal_handle(int signal_nr, void (*handler)(int signal_nr))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	assert_int_equal(sigaction(signal_nr, &action, NULL), 0);
}

void alarm_every_us(long microseconds)
{
	const struct itimerval period = { .it_interval = { .tv_usec = microseconds },
					  .it_value = { .tv_usec = microseconds } };

	setitimer(ITIMER_REAL, &period, NULL);
}

pid_t watchdog_start(unsigned seconds)
{
	pid_t parent = getpid(), dog = fork();

	if (dog != 0)
		return dog;
	for (unsigned i = 0; i < seconds && getppid() == parent; i++)
		sleep(1);
	if (getppid() == parent) {
		fprintf(stderr, "the test did not end in %u s\n", seconds);
		kill(parent, SIGKILL);
	}
	_exit(0);
}

bool pin_to_cpu(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* Either way of naming ourselves will do. */
bool gathers_are_vectored(void)
{
	static char page[65536] __attribute__((aligned(65536)));
	struct iovec range = { .iov_base = page, .iov_len = sizeof(page) };
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	long done_self = syscall(SYS_process_madvise, -10000, &range, 1L, MADV_DONTNEED, 0L);
	long done_pidfd = syscall(SYS_process_madvise, pidfd, &range, 1L, MADV_DONTNEED, 0L);

	close(pidfd);
	return done_self == (long)sizeof(page) || done_pidfd == (long)sizeof(page);
}

unsigned allowed_cpus_nr(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return (unsigned)CPU_COUNT(&set);
}

int allowed_cpu_next(unsigned from)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (unsigned cpu = from; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &set))
			return (int)cpu;
	}
	return -1;
}

static size_t count_entries(const char *path)
{
	DIR *directory = opendir(path);
	size_t entries_nr = 0;

	assert_non_null(directory);
	for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
		entries_nr += entry->d_name[0] != '.';
	closedir(directory);
	return entries_nr;
}

size_t count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	size_t lines_nr = 0;
	int c;

	assert_non_null(file);
	while ((c = getc(file)) != EOF)
		lines_nr += c == '\n';
	fclose(file);
	return lines_nr;
}

size_t count_fds(void)
{
	return count_entries("/proc/self/fd") - 1; /* less the one that reads the directory */
}

size_t count_tasks(void)
{
	return count_entries("/proc/self/task");
}

/* The kernel sets the flag before it lets go of the thread's memory, which is what libc waits for. */
static bool is_ending(const char *tid)
{
	const unsigned ending = 0x4; /* PF_EXITING */
	unsigned flags = ending;
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", tid);
	file = fopen(path, "r");
	if (file == NULL)
		return true;
	if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		flags = ending;
	fclose(file);
	return (flags & ending) != 0;
}

size_t count_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	size_t threads_nr = 0;

	assert_non_null(directory);
	for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
		threads_nr += entry->d_name[0] != '.' && !is_ending(entry->d_name);
	closedir(directory);
	return threads_nr;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t await_begin(void)
{
	return now_ns() + AWAIT_S * NS_PER_S;
}

bool await_more(uint64_t end_ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
	return now_ns() < end_ns;
}

uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long all_pages, resident_pages;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &all_pages, &resident_pages), 2);
	fclose(file);
	return (uint64_t)resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t status_bytes(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t name_bytes = strlen(name);
	uint64_t bytes = 0;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, name, name_bytes) == 0 && line[name_bytes] == ':')
			bytes = strtoull(line + name_bytes + 1, NULL, 10) * 1024;
	}
	fclose(file);
	return bytes;
}

static bool write_file(const char *directory, const char *name, const char *text)
{
	char path[512];
	bool written;
	int fd;

	snprintf(path, sizeof(path), "%s%s", directory, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return written;
}

static bool move_self(const char *directory)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	return write_file(directory, "/cgroup.procs", pid);
}

/* The group this process is in: the path after @prefix of a line in /proc/self/cgroup. */
static bool find_home(const char *marker, const char *root, char *home, size_t home_bytes)
{
	FILE *file = fopen("/proc/self/cgroup", "r");
	char line[512];
	bool found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		char *at = strstr(line, marker);

		if (at == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(home, home_bytes, "%s%s", root, at + strlen(marker));
		found = true;
	}
	fclose(file);
	return found;
}

static bool group_enter(struct memory_group *group, const char *root, const char *marker)
{
	if (!find_home(marker, root, group->home, sizeof(group->home)))
		return false;
	snprintf(group->path, sizeof(group->path), "%s/quire-test-%ld", root, (long)getpid());
	if (mkdir(group->path, 0755) != 0)
		return false;
	if (access(group->path, W_OK) == 0 && memory_group_bytes(group) != UINT64_MAX &&
	    move_self(group->path))
		return true;
	rmdir(group->path);
	return false;
}

bool memory_group_enter(struct memory_group *group)
{
	group->is_v2 = false;
	if (group_enter(group, "/sys/fs/cgroup/memory", ":memory:"))
		return true;
	group->is_v2 = true;
	write_file("/sys/fs/cgroup", "/cgroup.subtree_control", "+memory");
	return group_enter(group, "/sys/fs/cgroup", "0::");
}

uint64_t memory_group_bytes(const struct memory_group *group)
{
	unsigned long long bytes = UINT64_MAX;
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", group->path,
		 group->is_v2 ? "memory.current" : "memory.usage_in_bytes");
	file = fopen(path, "r");
	if (file == NULL)
		return UINT64_MAX;
	if (fscanf(file, "%llu", &bytes) != 1)
		bytes = UINT64_MAX;
	fclose(file);
	return bytes;
}

bool memory_group_limit(const struct memory_group *group, uint64_t bytes)
{
	const char *none = group->is_v2 ? "max" : "-1";
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	return write_file(group->path, group->is_v2 ? "/memory.max" : "/memory.limit_in_bytes",
			  bytes == 0 ? none : text);
}

void memory_group_leave(struct memory_group *group)
{
	move_self(group->home);
	rmdir(group->path);
}

uint64_t env_u64(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value == NULL || *value == '\0' ? otherwise : strtoull(value, NULL, 0);
}

char *read_source(const char *path)
{
	const char *root = getenv("QUIRE_SOURCE_ROOT");
	char full_path[1024], *text;
	size_t bytes;
	FILE *file;

	snprintf(full_path, sizeof(full_path), "%s/%s", root == NULL ? "." : root, path);
	file = fopen(full_path, "r");
	if (file == NULL)
		fail_msg("cannot open %s", full_path);
	text = malloc((size_t)1 << 20);
	assert_non_null(text);
	bytes = fread(text, 1, ((size_t)1 << 20) - 1, file);
	text[bytes] = '\0';
	fclose(file);
	return text;
}
