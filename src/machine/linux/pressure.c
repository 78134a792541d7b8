/* SPDX-License-Identifier: MIT */
/*
 * pressure.c - watching for memory pressure in the worker's own sleep
 *
 * The kernel counts how long threads wait because memory is short (PSI).  A trigger is a descriptor on
 * which poll() reports an exception when they waited for longer than STALL_US of WINDOW_US, at most once
 * in a window.  It is opened on the first of these that permits it:
 *
 *   memory.pressure of the process's cgroup, or the nearest one above, of version 2
 *   /proc/pressure/memory: the whole system
 *
 * If none does (an old kernel, psi=0, permissions, no descriptor, no memory for a trigger), the worker sleeps on its futex
 * as without a trigger, and another attempt is made after RETRY_NS.  The group is that of the process when the
 * trigger is opened; if the group goes away, poll() says so, and the next one is opened.
 *
 * Waking.  A thread in poll() must be woken by a descriptor.  It is a timer, which a waker sets to a time
 * that has passed: one system call, legal in a signal handler.
 *
 * Descriptors that are not ours.  A program may close all descriptors that it does not know, and its own
 * get their numbers.  So nothing here changes what it may find in that place: setting a timer fails on
 * anything else, which is why there is no eventfd to write to; polling changes nothing; and before a
 * descriptor is closed, it is asked what it is.  A thread whose timer was closed in its sleep cannot be woken.
 * So no sleep is longer than SLEEP_MAX_NS, and the watch ends when one of the two is not what it was.
 *
 * Both are closed on exec.  A child of fork closes its copies, and its worker opens its own.  If the fork
 * came while the parent's worker was opening one, the child keeps a copy of that until it ends or execs.
 */
#include "machine/linux/pressure.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/linux/futex.h"
#include "machine/linux/group.h"
#include "machine/linux/system.h"

/* 200 ms in 2 s, as systemd watches its services.  Triggers whose window is no multiple of 2 s need
 * CAP_SYS_RESOURCE. */
#define STALL_US  "200000"
#define WINDOW_US "2000000"
static const char trigger_text[] = "some " STALL_US " " WINDOW_US;

#define RETRY_NS     UINT64_C(60000000000)
/* Six wake-ups a minute of an idle process, and the longest that a stop of the worker can take. */
#define SLEEP_MAX_NS UINT64_C(10000000000)

static const char *const mounts[] = { GROUP_MOUNT, GROUP_MOUNT "/unified" };
static const char system_path[] = "/proc/pressure/memory";

void pressure_init(struct work_watch *watch)
{
	*watch = (struct work_watch){ .trigger = -1, .timer = -1 };
}

/* ---- opening ---- */

/* Identifies a file as long as it exists; 0: there is none. */
static uint64_t file_of(int fd)
{
	struct stat stat;
	int errno_before = errno;
	int error = fstat(fd, &stat);

	errno = errno_before;
	return error ? 0 : (uint64_t)stat.st_dev << 48 ^ (uint64_t)stat.st_ino;
}

/* Moves it out of the program's way. */
static long keep_away(long fd)
{
	long moved = system_dup_away(fd);

	if (fd >= 0)
		system_close((int)fd);
	return moved;
}

/* A descriptor with a trigger, or -errno. */
static long open_trigger(const char *path)
{
	long fd = keep_away(
		SYSTEM_CALL(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0));
	long written;

	if (fd < 0)
		return fd;
	written = SYSTEM_CALL(SYS_write, (int)fd, trigger_text, sizeof(trigger_text));
	if (written == (long)sizeof(trigger_text))
		return fd;
	system_close((int)fd);
	return written < 0 ? written : -EINVAL;
}

/* The file of the process's group, or of the nearest group above that has one. */
static long open_group(void)
{
	char line[GROUP_BYTES], file[GROUP_BYTES];
	const char *path = group_path(line);
	size_t bytes = path != NULL ? group_of(path) : 0;
	long fd = -ENOENT;

	while (path != NULL) {
		for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
			fd = group_file(file, mounts[i], path, bytes, "memory.pressure")
				     ? open_trigger(file)
				     : -ENAMETOOLONG;
			if (fd >= 0)
				return fd;
		}
		if (bytes == 0)
			break;
		bytes = group_above(path, bytes);
	}
	return fd;
}

/* 0 or -errno. */
static long open_both(struct work_watch *watch)
{
	enum work_pressure state = WORK_PRESSURE_GROUP;
	long trigger = open_group(), timer;

	if (trigger < 0) {
		state = WORK_PRESSURE_SYSTEM;
		trigger = open_trigger(system_path);
	}
	if (trigger < 0)
		return trigger;
	timer = keep_away(
		SYSTEM_CALL(SYS_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
	if (timer < 0) {
		system_close((int)trigger);
		return timer;
	}
	watch->file = file_of((int)trigger);
	watch->trigger = (int32_t)trigger;
	store_release(&watch->timer, (int32_t)timer);  /* pairs with pressure_wake() */
	store_relaxed(&watch->state, (uint32_t)state); /* read as a hint */
	return 0;
}

void pressure_open(struct work_watch *watch, uint64_t now_ns)
{
	if (watch->trigger >= 0 || !load_relaxed(&watch->wanted) || now_ns < watch->retry_ns)
		return;
	watch->error = (int32_t)open_both(watch);
	if (watch->error == 0)
		return;
	watch->retry_ns = now_ns + RETRY_NS;
	store_relaxed(&watch->state, (uint32_t)WORK_PRESSURE_REFUSED); /* read as a hint */
}

bool pressure_is_open(const struct work_watch *watch)
{
	return watch->trigger >= 0;
}

/* ---- closing ---- */

static bool timer_is_ours(const struct work_watch *watch)
{
	int32_t timer = load_relaxed(&watch->timer); /* this thread's own */
	struct itimerspec now;

	return timer >= 0 && SYSTEM_CALL(SYS_timerfd_gettime, timer, &now) == 0;
}

static bool trigger_is_ours(const struct work_watch *watch)
{
	return watch->trigger >= 0 && file_of(watch->trigger) == watch->file;
}

void pressure_close(struct work_watch *watch)
{
	if (timer_is_ours(watch))
		system_close(load_relaxed(&watch->timer)); /* this thread's own */
	if (trigger_is_ours(watch))
		system_close(watch->trigger);
	watch->trigger = -1;
	store_relaxed(&watch->timer, (int32_t)-1);
	store_relaxed(&watch->state, (uint32_t)WORK_PRESSURE_UNWATCHED); /* read as a hint */
}

/* ---- sleeping ---- */

/* 0: never, which also takes back that it has gone off.  False: it is no timer. */
static bool set_timer(struct work_watch *watch, long ns)
{
	const struct itimerspec at = { .it_value = { .tv_nsec = ns } };
	int32_t timer = load_acquire(&watch->timer); /* with open_both() */

	return timer >= 0 &&
	       SYSTEM_CALL(SYS_timerfd_settime, timer, TFD_TIMER_ABSTIME, &at, NULL) == 0;
}

void pressure_wake(struct work_watch *watch)
{
	(void)set_timer(watch, 1); /* long past */
}

/* What poll() reports of the two.  Another file in their place may report it for ever. */
static void look_at(struct work_watch *watch, short of_trigger, short of_timer)
{
	bool is_ours = (of_timer & POLLIN) == 0 || set_timer(watch, 0);

	if (of_trigger & POLLPRI) {
		is_ours = is_ours && trigger_is_ours(watch);
		store_relaxed(&watch->pressed, UINT32_C(1)); /* this thread reads it */
	}
	/* The group is gone, or somebody has closed one of the two. */
	if (!is_ours || ((of_trigger | of_timer) & (POLLERR | POLLNVAL)) != 0)
		pressure_close(watch);
}

void pressure_sleep(struct work_watch *watch, uint64_t now_ns, uint64_t due_ns)
{
	struct pollfd fds[] = {
		{ .fd = watch->trigger, .events = POLLPRI },
		{ .fd = watch->timer, .events = POLLIN },
	};
	uint64_t ns = due_ns - now_ns < SLEEP_MAX_NS ? due_ns - now_ns : SLEEP_MAX_NS;
	struct timespec timeout = {
		.tv_sec = (time_t)(ns / FUTEX_NS_PER_S),
		.tv_nsec = (long)(ns % FUTEX_NS_PER_S),
	};
	long ready = SYSTEM_CALL(SYS_ppoll, fds, 2L, &timeout, NULL, 0L);

	if (ready > 0)
		look_at(watch, fds[0].revents, fds[1].revents);
	else if (!trigger_is_ours(watch) || !timer_is_ours(watch))
		pressure_close(watch);
}
