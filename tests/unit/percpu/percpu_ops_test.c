/* SPDX-License-Identifier: MIT */
/*
 * percpu_ops_test.c - this_cpu operations against plain C, and under all that may happen to a thread
 *
 * The variables lie in a plain range, as the operations see no more of an allocator than that.  At
 * the end the program runs itself again without rseq, so that all holds for atomics too.
 */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <quire/percpu_ops.h>

#include "machine/cpu.h"
#include "machine/process.h"

#define AGAIN "QUIRE_OPS_AGAIN" /* in the environment of the second run */

static char *area; /* CPU 0's part */
static unsigned home;
/* That the process might run on before any thread was pinned. */
static unsigned cpus[64], cpus_nr;

static void *copy_of(void *ptr, unsigned cpu)
{
	return (char *)ptr + cpu * QUIRE_PERCPU_STRIDE;
}

static void area_clear(void)
{
	for (unsigned cpu = 0; cpu < process_cpus_possible(); cpu++)
		memset(copy_of(area, cpu), 0, 4096);
}

/* --- plain C is the model; operands are of all types, as in the kernel's own test --- */

/* *native and the copy begin as @from; both sides do the same. */
#define SAME(type, from, operation, plain)                                                         \
	do {                                                                                       \
		type *ptr = (type *)(void *)area, *copy = copy_of(area, home), native;             \
		type after = (type) ~(type)0;                                                      \
                                                                                                   \
		copy[1] = after;                                                                   \
		*copy = native = (type)(from);                                                     \
		operation;                                                                         \
		plain;                                                                             \
		assert_true(*copy == native);                                                      \
		assert_true(copy[1] == after);                                                     \
	} while (0)

#define SAME_VALUE(type, from, operation, plain)                                                   \
	SAME(type, from, type got = operation; type want = plain; assert_true(got == want), )

#define SAME_OPERAND(type, from, val)                                                              \
	do {                                                                                       \
		SAME(type, from, quire_this_cpu_add(ptr, val),                                     \
		     native = (type)((uint64_t)native + (uint64_t)(type)(val)));                   \
		SAME(type, from, quire_this_cpu_sub(ptr, val),                                     \
		     native = (type)((uint64_t)native - (uint64_t)(type)(val)));                   \
		SAME(type, from, quire_this_cpu_and(ptr, val),                                     \
		     native = (type)((uint64_t)native & (uint64_t)(type)(val)));                   \
		SAME(type, from, quire_this_cpu_or(ptr, val),                                      \
		     native = (type)((uint64_t)native | (uint64_t)(type)(val)));                   \
		SAME(type, from, quire_this_cpu_write(ptr, val), native = (type)(val));            \
		SAME_VALUE(type, from, quire_this_cpu_read(ptr), native);                          \
		SAME_VALUE(type, from, quire_this_cpu_add_return(ptr, val),                        \
			   native = (type)((uint64_t)native + (uint64_t)(type)(val)));             \
		SAME_VALUE(type, from, quire_this_cpu_sub_return(ptr, val),                        \
			   native = (type)((uint64_t)native - (uint64_t)(type)(val)));             \
		SAME(type, from, assert_true(quire_this_cpu_xchg(ptr, val) == (type)(from)),       \
		     native = (type)(val));                                                        \
		SAME(type, from,                                                                   \
		     assert_true(quire_this_cpu_cmpxchg(ptr, from, val) == (type)(from)),          \
		     native = (type)(val));                                                        \
		SAME(type, from,                                                                   \
		     assert_true(quire_this_cpu_cmpxchg(ptr, (type)((type)(from) + 1), val) ==     \
				 (type)(from)),                                                    \
		     native = (type)(from));                                                       \
	} while (0)

#define SAME_TYPE(type)                                                                            \
	static void check_##type(void)                                                             \
	{                                                                                          \
		const unsigned ui_one = 1;                                                         \
		const unsigned char uc_top = 0x80;                                                 \
		const short s_minus = -3;                                                          \
		const long l_big = 0x1234567890abcdefl;                                            \
                                                                                                   \
		SAME(type, 7, quire_this_cpu_inc(ptr), native++);                                  \
		SAME(type, 7, quire_this_cpu_dec(ptr), native--);                                  \
		SAME(type, 0, quire_this_cpu_dec(ptr), native--);                                  \
		SAME(type, -1, quire_this_cpu_inc(ptr), native++);                                 \
		SAME_VALUE(type, -1, quire_this_cpu_inc_return(ptr), ++native);                    \
		SAME_VALUE(type, 0, quire_this_cpu_dec_return(ptr), --native);                     \
		SAME_OPERAND(type, 0, ui_one);                                                     \
		SAME_OPERAND(type, 0, -ui_one);                                                    \
		SAME_OPERAND(type, -1, ui_one);                                                    \
		SAME_OPERAND(type, 3, uc_top);                                                     \
		SAME_OPERAND(type, 3, s_minus);                                                    \
		SAME_OPERAND(type, 99, l_big);                                                     \
		SAME_OPERAND(type, l_big, -l_big);                                                 \
	}

typedef signed char schar;
typedef unsigned char uchar;
typedef unsigned short ushort_;
typedef unsigned int uint;
typedef long long llong;
typedef unsigned long ulong_;
SAME_TYPE(schar)
SAME_TYPE(uchar)
SAME_TYPE(short)
SAME_TYPE(ushort_)
SAME_TYPE(int)
SAME_TYPE(uint)
SAME_TYPE(long)
SAME_TYPE(ulong_)
SAME_TYPE(llong)

static void every_operation_does_what_plain_C_does(void **state)
{
	(void)state;
	assert_true(pin_to_cpu(home));
	check_schar();
	check_uchar();
	check_short();
	check_ushort_();
	check_int();
	check_uint();
	check_long();
	check_ulong_();
	check_llong();
}

/* What the kernel's percpu_test found wrong once: unsigned operands and a wider signed variable. */
static void unsigned_operand_is_extended_as_plain_C_does(void **state)
{
	const unsigned one = 1;
	long *ptr = (long *)(void *)area, *copy = copy_of(area, home);

	(void)state;
	assert_true(pin_to_cpu(home));
	*copy = 0;
	quire_this_cpu_add(ptr, -one);
	assert_int_equal(*copy, 0xffffffffl);
	*copy = 0;
	quire_this_cpu_sub(ptr, one);
	assert_int_equal(*copy, -1);
	*copy = 0;
	assert_int_equal(quire_this_cpu_add_return(ptr, -one), 0xffffffffl);
}

static void pointers_and_bools_are_variables_too(void **state)
{
	int **ptr = (int **)(void *)area;
	bool *flag = (bool *)(area + 8);
	int here;

	(void)state;
	assert_true(pin_to_cpu(home));
	area_clear();
	quire_this_cpu_write(ptr, &here);
	assert_ptr_equal(quire_this_cpu_read(ptr), &here);
	assert_ptr_equal(quire_this_cpu_cmpxchg(ptr, &here, NULL), &here);
	assert_null(quire_this_cpu_xchg(ptr, &here));
	quire_this_cpu_write(flag, 4);
	assert_int_equal(*(unsigned char *)copy_of(flag, home), 1);
	assert_true(quire_this_cpu_xchg(flag, false));
}

static void sum_is_right_modulo_the_width(void **state)
{
	short *ptr = (short *)(void *)area;

	(void)state;
	area_clear();
	for (unsigned cpu = 0; cpu < process_cpus_possible(); cpu++)
		*(short *)copy_of(ptr, cpu) = (short)(cpu % 2 == 0 ? -5 : 3);
	assert_int_equal(quire_per_cpu_sum(ptr),
			 (short)(3 * (int)(process_cpus_possible() / 2) -
				 5 * (int)((process_cpus_possible() + 1) / 2)));
}

static void bad_pointer(void *arg)
{
	(void)quire_this_cpu_do(QUIRE_THIS_CPU_ADD | 8u, (char *)area + 4, (uintptr_t)arg, 0);
}

static void misaligned_pointer_is_misuse_where_it_is_seen(void **state)
{
	(void)state;
	expect_death(bad_pointer, NULL, "quire: misuse: bad alignment: ");
}

/* --- what may happen to a thread --- */

#define ROUNDS	 400000u
#define HOP_MASK 255u

static void hop(unsigned i)
{
	(void)pin_to_cpu(cpus[i % cpus_nr]);
}

/* Every kind of operation that adds, by one; the variable of each width. */
static void add_in_four_ways(unsigned i)
{
	uint64_t *wide = (uint64_t *)(void *)area, old;
	uint32_t *four = (uint32_t *)(void *)(area + 8);
	uint16_t *two = (uint16_t *)(void *)(area + 12);
	uint8_t *one = (uint8_t *)(area + 14);

	if (i % 2 == 0) {
		quire_this_cpu_inc(wide);
	} else {
		do
			old = quire_this_cpu_read(wide);
		while (quire_this_cpu_cmpxchg(wide, old, old + 1) != old);
	}
	(void)quire_this_cpu_add_return(four, 1);
	quire_this_cpu_inc(two);
	quire_this_cpu_sub(one, -1);
	/* What is taken out here is put in by the next. */
	quire_this_cpu_add(wide + 8, quire_this_cpu_xchg(wide + 9, 0));
	quire_this_cpu_add(wide + 9, 1);
}

static void check_added(uint64_t nr)
{
	assert_u64_eq(quire_per_cpu_sum((uint64_t *)(void *)area), nr);
	assert_u64_eq(quire_per_cpu_sum((uint32_t *)(void *)(area + 8)), (uint32_t)nr);
	assert_u64_eq(quire_per_cpu_sum((uint16_t *)(void *)(area + 12)), (uint16_t)nr);
	assert_u64_eq(quire_per_cpu_sum((uint8_t *)(area + 14)), (uint8_t)nr);
	assert_u64_eq(quire_per_cpu_sum((uint64_t *)(void *)area + 8) +
			      quire_per_cpu_sum((uint64_t *)(void *)area + 9),
		      nr);
}

static void add_and_hop(unsigned index, void *arg)
{
	unsigned rounds = *(unsigned *)arg;

	for (unsigned i = 0; i < rounds; i++) {
		if ((i & HOP_MASK) == 0)
			hop(i / (HOP_MASK + 1) + index);
		add_in_four_ways(i);
	}
}

static unsigned rounds_nr(void)
{
	return (unsigned)env_u64("QUIRE_OPS_ROUNDS", ROUNDS);
}

static void every_increment_is_counted_while_threads_migrate(void **state)
{
	unsigned rounds = rounds_nr();

	(void)state;
	area_clear();
	team_run(3, add_and_hop, &rounds);
	check_added(3 * (uint64_t)rounds);
}

#ifdef SYS_rseq
#define RSEQ_UNREGISTER 1
#ifdef __aarch64__
#define RSEQ_SIGNATURE 0xd428bc00u
#else
#define RSEQ_SIGNATURE 0x53053053u
#endif

/* Makes the calling thread one that libc has not made: it has no CPU number. */
static bool lose_number(void)
{
	struct quire_this_cpu_words words = QUIRE_THIS_CPU_WORDS_INIT(words);
	char *thread = __builtin_thread_pointer();

	cpu_fill_words(&words);
	return words.rseq_offset != 0 && syscall(SYS_rseq, thread + words.rseq_offset, 32,
						 RSEQ_UNREGISTER, RSEQ_SIGNATURE) == 0;
}

struct mixed {
	unsigned rounds;
	bool is_lost;
};

static void add_with_and_without_number(unsigned index, void *arg)
{
	struct mixed *mixed = arg;
	unsigned few = mixed->rounds / 200;

	if (index != 0) {
		add_and_hop(index, &mixed->rounds);
		return;
	}
	mixed->is_lost = lose_number();
	for (unsigned i = 0; i < few; i++)
		add_in_four_ways(i);
}

static void thread_without_a_number_counts_beside_others(void **state)
{
	struct mixed mixed = { .rounds = rounds_nr() / 4 };

	(void)state;
	if (!cpu_has_sequences())
		skip_because("no per-CPU sequences here");
	area_clear();
	team_run(3, add_with_and_without_number, &mixed);
	assert_true(mixed.is_lost);
	check_added(2 * (uint64_t)mixed.rounds + mixed.rounds / 200);
}
#else
static void thread_without_a_number_counts_beside_others(void **state)
{
	(void)state;
	skip_because("this build has no per-CPU sequences");
}
#endif

static volatile sig_atomic_t signals_nr;

static void add_in_handler(int signal)
{
	(void)signal;
	add_in_four_ways((unsigned)signals_nr);
	signals_nr = signals_nr + 1;
}

static void handler_adds_to_what_it_interrupts(void **state)
{
	struct sigaction action = { .sa_handler = add_in_handler };
	struct itimerval often = { .it_interval = { .tv_usec = 100 },
				   .it_value = { .tv_usec = 100 } };
	struct itimerval never = { .it_value = { .tv_sec = 0 } };
	uint64_t added = 0;

	(void)state;
	area_clear();
	signals_nr = 0;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (signals_nr < 1000)
		add_in_four_ways((unsigned)added++);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(signal(SIGALRM, SIG_IGN) == SIG_ERR, 0);
	check_added(added + (uint64_t)signals_nr);
}

static void child_of_fork_goes_on_with_its_own_copy(void **state)
{
	unsigned rounds = 1000;
	pid_t child;

	(void)state;
	area_clear();
	add_and_hop(0, &rounds);
	child = child_fork();
	if (child == 0) {
		add_and_hop(0, &rounds);
		_exit(quire_per_cpu_sum((uint64_t *)(void *)area) == 2 * (uint64_t)rounds ? 0 : 1);
	}
	assert_int_equal(child_wait(child), 0);
	check_added(rounds);
}

static void unfilled_words_refuse_and_harm_nothing(void **state)
{
	struct quire_this_cpu_words words = QUIRE_THIS_CPU_WORDS_INIT(words);
	uint64_t old;

	(void)state;
	area_clear();
	assert_false(quire_seq_add_8(&words, area, 1));
	assert_false(quire_seq_read_8(&words, area, &old));
	assert_false(quire_seq_cmpxchg_8(&words, area, 0, 1, &old));
	assert_u64_eq(quire_per_cpu_sum((uint64_t *)(void *)area), 0);
	quire_this_cpu_inc((uint64_t *)(void *)area);
	assert_u64_eq(quire_per_cpu_sum((uint64_t *)(void *)area), 1);
}

static void again(void *arg)
{
	char *const argv[] = { arg, NULL };

	if (setenv(AGAIN, "1", 1) != 0 || setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1) != 0)
		_exit(3);
	execv("/proc/self/exe", argv);
	_exit(4);
}

static void all_of_this_holds_without_rseq(void **state)
{
	(void)state;
	if (getenv(AGAIN) != NULL)
		assert_false(cpu_has_sequences());
	else if (cpu_has_sequences())
		expect_life(again, (void *)(uintptr_t) "percpu_ops_test");
	else
		skip_because("this run is the one without sequences");
}

static int make_area(void **state)
{
	(void)state;
	area = mmap(NULL, process_cpus_possible() * QUIRE_PERCPU_STRIDE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (int cpu = allowed_cpu_next(0); cpu >= 0 && cpus_nr < 64;
	     cpu = allowed_cpu_next((unsigned)cpu + 1))
		cpus[cpus_nr++] = (unsigned)cpu;
	home = cpus[0];
	return area == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_this_holds_without_rseq), /* before a thread is pinned */
		cmocka_unit_test(unfilled_words_refuse_and_harm_nothing),
		cmocka_unit_test(every_increment_is_counted_while_threads_migrate),
		cmocka_unit_test(thread_without_a_number_counts_beside_others),
		cmocka_unit_test(handler_adds_to_what_it_interrupts),
		cmocka_unit_test(child_of_fork_goes_on_with_its_own_copy),
		cmocka_unit_test(sum_is_right_modulo_the_width),
		cmocka_unit_test(misaligned_pointer_is_misuse_where_it_is_seen),
		cmocka_unit_test(every_operation_does_what_plain_C_does),
		cmocka_unit_test(unsigned_operand_is_extended_as_plain_C_does),
		cmocka_unit_test(pointers_and_bools_are_variables_too),
	};

	return cmocka_run_group_tests_name("percpu_ops", tests, make_area, NULL);
}
