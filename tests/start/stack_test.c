/* SPDX-License-Identifier: MIT */
/*
 * How much stack the public calls need: quire.h states it.
 *
 * Method: each call runs on a painted stack of the size of the smallest thread, or on an alternate
 * signal stack, and what it has touched is measured.  The deepest of each table is printed.
 */
#include "quire_test.h"

#include "confine.h"
#include "machine/linux/sanitizer.h"
#include "stack_calls.h"

/* As in quire.h. */
#define CALL_BYTES    (8u << 10)
#define HANDLER_BYTES (4u << 10)

#define THREAD_STACK (16u << 10)
#define SIGNAL_STACK (8u << 10)

/* What an optimizer and a sanitizer do to frames is no property of the source. */
#if defined(__OPTIMIZE__) && !MACHINE_TSAN && !MACHINE_ASAN
#define MEASURES true
#else
#define MEASURES false
#endif

typedef size_t (*confine_fn)(size_t stack_bytes, void (*body)(void *arg), void *arg);

/* Runs each of @calls on a stack of @stack_bytes; none may touch more than @bytes_max of it. */
static void measure(const struct stack_call *calls, size_t calls_nr, confine_fn confine,
		    size_t stack_bytes, size_t bytes_max)
{
	const char *deepest_name = "none";
	size_t deepest = 0;

	for (size_t i = 0; i < calls_nr; i++) {
		size_t bytes = confine(stack_bytes, calls[i].body, (void *)(uintptr_t)calls[i].arg);

		printf("%6zu bytes  %s\n", bytes, calls[i].name);
		if (bytes > deepest) {
			deepest = bytes;
			deepest_name = calls[i].name;
		}
	}
	if (deepest > bytes_max)
		fail_msg("%s touched %zu bytes of stack, of %zu that it may", deepest_name, deepest,
			 bytes_max);
	assert_true(deepest != 0);
}

static void every_call_fits_on_the_smallest_threads_stack(void **state)
{
	(void)state;
	if (!MEASURES)
		skip_because("frames are measured in optimized builds without sanitizers only");
	measure(stack_calls, stack_calls_nr, confine_to_stack, THREAD_STACK, CALL_BYTES);
}

static void what_a_handler_may_call_fits_on_a_signal_stack(void **state)
{
	(void)state;
	if (!MEASURES)
		skip_because("frames are measured in optimized builds without sanitizers only");
	stack_calls_prepare_handler();
	measure(stack_handler_calls, stack_handler_calls_nr, confine_to_signal_stack, SIGNAL_STACK,
		HANDLER_BYTES);
	assert_int_equal(stack_calls_verify(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fits_on_the_smallest_threads_stack),
		cmocka_unit_test(what_a_handler_may_call_fits_on_a_signal_stack),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
