/* SPDX-License-Identifier: MIT */
/*
 * early.c WAY - a program that allocates at every time of its life: run by start_test.c
 *
 * A resolver of a library (early_library.c) that is bound before malloc's own library; constructors of all
 * priorities; main(); handlers of atexit() and at_quick_exit(); destructors of thread-specific data, of C++
 * thread_local objects, and of the program.  WAY is how it ends.  Status 0: all was served, and what was
 * written then was read later.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *early_library_block(void);
extern int early_library_call(void);
extern int __cxa_thread_atexit_impl(void (*run)(void *arg), void *arg, void *object);
extern void *__dso_handle;

enum {
	REFUSED = 3,
	OVERWRITTEN = 4,
	TOO_FEW = 5,
};

#define KEPT_MAX   64u
#define KEPT_BYTES 100u

static void *kept[KEPT_MAX];
static unsigned kept_nr;
static pthread_key_t key;

/* Allocates and frees, and keeps one block. */
static void use(void)
{
	static const size_t sizes[] = { 1, 100, 5000, 40000, 300000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *block = malloc(sizes[i]), *zeroed = calloc(1, sizes[i]);

		if (block == NULL || zeroed == NULL)
			_exit(REFUSED);
		if (zeroed[0] != 0 || zeroed[sizes[i] - 1] != 0)
			_exit(OVERWRITTEN);
		memset(block, 1, sizes[i]);
		block = realloc(block, sizes[i] + 1000);
		if (block == NULL)
			_exit(REFUSED);
		free(block);
		free(zeroed);
	}
	if (kept_nr < KEPT_MAX) {
		kept[kept_nr] = malloc(KEPT_BYTES);
		memset(kept[kept_nr], (int)kept_nr + 1, KEPT_BYTES);
		kept_nr++;
	}
}

static void check(void)
{
	for (unsigned i = 0; i < kept_nr; i++) {
		const unsigned char *block = kept[i];

		for (unsigned j = 0; j < KEPT_BYTES; j++)
			if (block[j] != i + 1)
				_exit(OVERWRITTEN);
	}
}

static void use_and_check(void)
{
	use();
	check();
}

static void of_thread(void *arg)
{
	(void)arg;
	use();
}

static void *thread(void *arg)
{
	use();
	__cxa_thread_atexit_impl(of_thread, NULL, &__dso_handle);
	pthread_setspecific(key, arg);
	return NULL;
}

static void before_constructors(void)
{
	use();
}

__attribute__((section(".preinit_array"), used)) static void (*preinit)(void) = before_constructors;

static __attribute__((constructor(101))) void first_constructor(void)
{
	use();
}

static __attribute__((constructor)) void last_constructor(void)
{
	use();
}

static __attribute__((destructor)) void destructor(void)
{
	use_and_check();
}

static __attribute__((destructor(101))) void last_destructor(void)
{
	use_and_check();
}

int main(int argc, char **argv)
{
	pthread_t id;

	if (argc != 2 || early_library_call() != 7)
		return REFUSED;
	pthread_key_create(&key, of_thread);
	atexit(use_and_check);
	at_quick_exit(use_and_check);
	__cxa_thread_atexit_impl(of_thread, NULL, &__dso_handle);
	pthread_setspecific(key, &key);
	if (pthread_create(&id, NULL, thread, &key) != 0)
		return REFUSED;
	pthread_join(id, NULL);
	use_and_check();
	/* What a resolver was given is freed by the program. */
	free(early_library_block());
	if (kept_nr < 6)
		return TOO_FEW;
	if (strcmp(argv[1], "quick_exit") == 0)
		quick_exit(0);
	if (strcmp(argv[1], "exit") == 0)
		exit(0);
	if (strcmp(argv[1], "pthread_exit") == 0)
		pthread_exit(NULL);
	return 0;
}
