/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

/* --- refused system calls --- */

static int install(struct sock_filter *filter, size_t instructions_nr, unsigned flags)
{
	struct sock_fprog program = { .len = (unsigned short)instructions_nr, .filter = filter };
	long result;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	CHECK_VALUES(result >= 0, result, errno);
	return (int)result;
}

/* What every filter begins with: go on if the call is @call, or else allow it. */
#define IF_CALL(call)                                                                              \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),                     \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(call), 1, 0),                       \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

void confine_deny(long call, int error)
{
	struct sock_filter filter[] = {
		IF_CALL(call),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
	};

	(void)install(filter, sizeof(filter) / sizeof(filter[0]), 0);
}

void confine_deny_argument(long call, unsigned index, uint32_t value, int error)
{
	uint32_t offset = (uint32_t)(offsetof(struct seccomp_data, args) + 8u * index);
	struct sock_filter filter[] = {
		IF_CALL(call),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset), /* little-endian: the low half */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
	};

	(void)install(filter, sizeof(filter) / sizeof(filter[0]), 0);
}

/* The thread that answers counted calls was started before the filter, so it is free of it. */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t ready;
	int listener; /* -1 until the filter is there */
	int error;
	uint64_t denied_nr; /* atomic */
} counted = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.ready = PTHREAD_COND_INITIALIZER,
	.listener = -1,
};

static int wait_for_listener(void)
{
	int listener;

	pthread_mutex_lock(&counted.mutex);
	while (counted.listener < 0)
		pthread_cond_wait(&counted.ready, &counted.mutex);
	listener = counted.listener;
	pthread_mutex_unlock(&counted.mutex);
	return listener;
}

static void *answer_calls(void *arg)
{
	int listener = wait_for_listener();

	for (;;) {
		struct seccomp_notif call = { .id = 0 };
		struct seccomp_notif_resp answer = { .error = -counted.error };

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return arg;
		}
		__atomic_fetch_add(&counted.denied_nr, 1, __ATOMIC_RELAXED);
		answer.id = call.id;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

void confine_deny_counted(long call, int error)
{
	struct sock_filter filter[] = {
		IF_CALL(call),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	pthread_t thread;
	int listener;

	CHECK(counted.listener < 0);
	counted.error = error;
	CHECK(pthread_create(&thread, NULL, answer_calls, NULL) == 0);
	CHECK(pthread_detach(thread) == 0);
	listener = install(filter, sizeof(filter) / sizeof(filter[0]),
			   SECCOMP_FILTER_FLAG_NEW_LISTENER);
	pthread_mutex_lock(&counted.mutex);
	counted.listener = listener;
	pthread_cond_signal(&counted.ready);
	pthread_mutex_unlock(&counted.mutex);
}

uint64_t confine_denied_nr(void)
{
	return __atomic_load_n(&counted.denied_nr, __ATOMIC_RELAXED);
}

/* --- limits and files --- */

void confine_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	CHECK(getrlimit((__rlimit_resource_t)resource, &limit) == 0);
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit((__rlimit_resource_t)resource, &limit) == 0);
}

bool confine_hide(const char *path)
{
	static bool has_own_mounts;

	if (!has_own_mounts && unshare(CLONE_NEWNS) != 0)
		return false;
	has_own_mounts = true;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", path, "tmpfs", 0, NULL) == 0;
}

/* --- stacks --- */

#define PAINT 0xa5

/* A stack that faults when it is overrun, filled so that its use can be read off. */
struct painted_stack {
	char *map;
	size_t map_bytes;
	unsigned char *low;
	size_t bytes;
};

static void paint(struct painted_stack *stack, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	stack->bytes = (bytes + page - 1) & ~(page - 1);
	stack->map_bytes = stack->bytes + page;
	stack->map = mmap(NULL, stack->map_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(stack->map != MAP_FAILED && mprotect(stack->map, page, PROT_NONE) == 0);
	stack->low = (unsigned char *)stack->map + page;
	/* The size that was asked for is what there is: the rest lies above, where a stack begins. */
	stack->bytes = bytes & ~(size_t)63;
	memset(stack->low, PAINT, stack->bytes);
}

/* Bytes from the lowest one that was written to @frame. */
static size_t painted_depth(const struct painted_stack *stack, const void *frame)
{
	size_t clean = 0;

	while (clean < stack->bytes && stack->low[clean] == PAINT)
		clean++;
	return (size_t)((const unsigned char *)frame - (stack->low + clean));
}

static void unpaint(struct painted_stack *stack)
{
	CHECK(munmap(stack->map, stack->map_bytes) == 0);
}

struct confined_body {
	void (*body)(void *arg);
	void *arg;
	void *frame;
};

static void *run_confined(void *arg)
{
	struct confined_body *confined = arg;

	confined->frame = __builtin_frame_address(0);
	confined->body(confined->arg);
	return NULL;
}

size_t confine_to_stack(size_t stack_bytes, void (*body)(void *arg), void *arg)
{
	struct confined_body confined = { .body = body, .arg = arg };
	struct painted_stack stack;
	pthread_attr_t attributes;
	pthread_t thread;
	size_t depth;

	paint(&stack, stack_bytes);
	CHECK(pthread_attr_init(&attributes) == 0);
	CHECK(pthread_attr_setstack(&attributes, stack.low, stack.bytes) == 0);
	CHECK(pthread_create(&thread, &attributes, run_confined, &confined) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	pthread_attr_destroy(&attributes);
	depth = painted_depth(&stack, confined.frame);
	unpaint(&stack);
	return depth;
}

/* Volatile: raise() is declared to call nothing of this file, and here it does. */
static volatile struct confined_body in_handler;

static void run_in_handler(int signal_nr)
{
	struct confined_body confined = in_handler;

	(void)signal_nr;
	(void)run_confined(&confined);
	in_handler = confined;
}

size_t confine_to_signal_stack(size_t stack_bytes, void (*body)(void *arg), void *arg)
{
	struct sigaction action = { .sa_handler = run_in_handler, .sa_flags = SA_ONSTACK };
	struct sigaction action_before;
	struct painted_stack stack;
	stack_t alternate, before;
	size_t depth;

	paint(&stack, stack_bytes);
	alternate = (stack_t){ .ss_sp = stack.low, .ss_size = stack.bytes };
	in_handler = (struct confined_body){ .body = body, .arg = arg };
	CHECK(sigaltstack(&alternate, &before) == 0);
	CHECK(sigaction(SIGUSR2, &action, &action_before) == 0);
	CHECK(raise(SIGUSR2) == 0);
	CHECK(sigaction(SIGUSR2, &action_before, NULL) == 0);
	CHECK(sigaltstack(&before, NULL) == 0);
	depth = painted_depth(&stack, in_handler.frame);
	unpaint(&stack);
	return depth;
}
