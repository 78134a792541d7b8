/* SPDX-License-Identifier: MIT */
/* linux/kthread.h - kernel threads as threads of the program: made, and stopped by whoever made them */
#ifndef QUIRE_LINUX_KTHREAD_H
#define QUIRE_LINUX_KTHREAD_H

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/sched.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Keys: (c) constant after creation; (a) atomic; (j) its own until it is joined. */
struct task_struct {
	int (*function)(void *data); /* (c) */
	void *data;		     /* (c) */
	char comm[16];		     /* (c) its name */
	pid_t pid;		     /* (c) for its own thread; 0 before it runs */
	pthread_t thread;	     /* (c) */
	struct completion woken;
	bool is_awake;	  /* of whoever made it, until it is woken */
	bool should_stop; /* (a) */
	int result;	  /* (j) */
};

extern __thread struct task_struct *quire_linux_task;
QUIRE_LINUX_SHARED_ __thread struct task_struct *quire_linux_task; /* NULL: not known yet */
/* Of a thread that is no kernel thread. */
extern __thread struct task_struct quire_linux_own_task;
QUIRE_LINUX_SHARED_ __thread struct task_struct quire_linux_own_task;

/* A module's init function runs in a thread of the program, as in the kernel in one of insmod. */
static inline struct task_struct *quire_linux_current_(void)
{
	struct task_struct *own = &quire_linux_own_task;

	if (quire_linux_task == NULL) {
		(void)snprintf(own->comm, sizeof(own->comm), "%s", program_invocation_short_name);
		own->pid = gettid();
		quire_linux_task = own;
	}
	return quire_linux_task;
}

#define current quire_linux_current_()

static inline bool kthread_should_stop(void)
{
	return __atomic_load_n(&current->should_stop, __ATOMIC_ACQUIRE);
}

/* The start routine of a task's thread. */
static inline void *quire_linux_begin_task_(void *arg)
{
	struct task_struct *task = (struct task_struct *)arg;

	quire_linux_task = task;
	task->pid = gettid();
	wait_for_completion(&task->woken);
	/* Stopped before it was woken, it never runs. */
	task->result =
		kthread_should_stop() && !task->is_awake ? -EINTR : task->function(task->data);
	return NULL;
}

/* It waits for wake_up_process(), which its maker calls. */
__attribute__((format(printf, 3, 4))) static inline struct task_struct *kthread_create(
	int (*function)(void *data), void *data, const char *name, ...)
{
	struct task_struct *task = (struct task_struct *)calloc(1, sizeof(*task));
	va_list args;
	int error;

	if (task == NULL)
		return (struct task_struct *)ERR_PTR(-ENOMEM);
	task->function = function;
	task->data = data;
	va_start(args, name);
	(void)vsnprintf(task->comm, sizeof(task->comm), name, args);
	va_end(args);
	init_completion(&task->woken);
	error = pthread_create(&task->thread, NULL, quire_linux_begin_task_, task);
	if (error != 0) {
		free(task);
		return (struct task_struct *)ERR_PTR(-error);
	}
	(void)pthread_setname_np(task->thread, task->comm);
	return task;
}

static inline int wake_up_process(struct task_struct *task)
{
	if (task->is_awake)
		return 0;
	task->is_awake = true;
	complete(&task->woken);
	return 1;
}

#define kthread_run(function, data, ...)                                                           \
	({                                                                                         \
		struct task_struct *quire_task_ = kthread_create(function, data, __VA_ARGS__);     \
		if (!IS_ERR(quire_task_))                                                          \
			(void)wake_up_process(quire_task_);                                        \
		quire_task_;                                                                       \
	})

/* Before it is woken. */
static inline void kthread_bind(struct task_struct *task, unsigned cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	(void)WARN_ON(pthread_setaffinity_np(task->thread, sizeof(only), &only) != 0);
}

/* Waits for its end, and returns what its function did.  It is gone afterwards. */
static inline int kthread_stop(struct task_struct *task)
{
	int result;

	__atomic_store_n(&task->should_stop, true, __ATOMIC_RELEASE);
	if (!task->is_awake)
		complete(&task->woken);
	(void)pthread_join(task->thread, NULL);
	result = task->result;
	free(task);
	return result;
}

#endif
