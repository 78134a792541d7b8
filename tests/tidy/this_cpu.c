/* SPDX-License-Identifier: MIT */
/*
 * this_cpu.c - what operations make of operands, as a table of numbers (C and C++; see this_cpu)
 *
 * Expected values are written out, since the same conversions in the test would be wrong in the same
 * way.  Each row runs from a loop too, so that the sequences' words are hoisted.  Status 0: all hold.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <sched.h>
#include <stdio.h>

static void *place; /* of 8 bytes, on each CPU */
static int failed_nr;

static void row(int line, const char *what, unsigned long long got, unsigned long long want)
{
	if (got == want)
		return;
	printf("line %d: %s: %llx, not %llx\n", line, what, got, want);
	failed_nr++;
}

static int stay_here(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return cpu < 0 ? -1 : sched_setaffinity(0, sizeof(set), &set);
}

/* All CPUs' copies begin as zero, so the sum is this CPU's. */
#define BEGIN(type, from)                                                                          \
	type *p = (type *)place;                                                                   \
	for (unsigned cpu = 0; cpu < quire_percpu_units(quire_default()); cpu++)                   \
		*(unsigned long long *)quire_per_cpu_ptr(place, cpu) = 0;                          \
	quire_this_cpu_add(p, from)

#define QUIET(type, from, op, operand_type, operand, want)                                         \
	do {                                                                                       \
		BEGIN(type, from);                                                                 \
		volatile operand_type val = (operand_type)(operand);                               \
		for (int i = 0; i < 1; i++)                                                        \
			quire_this_cpu_##op(p, val);                                               \
		row(__LINE__, #type " " #op " " #operand_type,                                     \
		    (unsigned long long)quire_per_cpu_sum(p), (unsigned long long)(want));         \
	} while (0)

/* An operation that returns the new value, in which also what is returned counts. */
#define VALUE(type, from, op, operand_type, operand, want)                                         \
	do {                                                                                       \
		BEGIN(type, from);                                                                 \
		volatile operand_type val = (operand_type)(operand);                               \
		type got = quire_this_cpu_##op##_return(p, val);                                   \
		row(__LINE__, #type " " #op "_return " #operand_type, (unsigned long long)got,     \
		    (unsigned long long)(want));                                                   \
		row(__LINE__, #type " " #op "_return, sum", (unsigned long long)got,               \
		    (unsigned long long)quire_per_cpu_sum(p));                                     \
	} while (0)

#define BOTH(type, from, op, operand_type, operand, want)                                          \
	QUIET(type, from, op, operand_type, operand, want);                                        \
	VALUE(type, from, op, operand_type, operand, want)

static void wider_variables(void)
{
	BOTH(long, 3, add, unsigned, -1u, 0x100000002);
	BOTH(long, 3, sub, unsigned, 1u, 2);
	BOTH(long, 0, sub, unsigned, 1u, -1ll);
	BOTH(long, 3, add, int, -1, 2);
	BOTH(long, 3, sub, unsigned char, 0x80, -125ll);
	BOTH(long, 3, add, signed char, -128, -125ll);
	BOTH(long, 3, sub, unsigned short, 4, -1ll);
	BOTH(long, 3, sub, bool, 1, 2);
	BOTH(unsigned long, 3, add, unsigned, -1u, 0x100000002);
	BOTH(unsigned long, 3, sub, unsigned, 1u, 2);
	BOTH(unsigned long, 3, add, int, -4, -1ll);
	BOTH(unsigned long long, 0, sub, unsigned, 1u, -1ll);
	BOTH(int, 3, sub, unsigned char, 4, -1ll);
	BOTH(unsigned, 3, sub, unsigned char, 4, 0xffffffff);
	BOTH(short, 3, sub, unsigned char, 4, -1ll);
	QUIET(long, -1, and, unsigned, 0x80000000u, 0x80000000);
	QUIET(long, -1, and, int, -2, -2ll);
	QUIET(long, 0, or, unsigned, 0x80000000u, 0x80000000);
	QUIET(long, 0, or, signed char, -128, -128ll);
}

static void narrower_variables(void)
{
	BOTH(signed char, 3, add, long, 0x1ff, 2);
	BOTH(unsigned char, 250, add, int, 10, 4);
	BOTH(unsigned char, 3, sub, long, 4, 0xff);
	BOTH(signed char, 3, sub, unsigned long, 4, -1ll);
	BOTH(unsigned short, 3, sub, unsigned long, 4, 0xffff);
	BOTH(short, 3, add, unsigned long, 0x18000, -32765ll);
	BOTH(int, 3, add, unsigned long, 0x180000000, -2147483645ll);
	BOTH(unsigned, 3, sub, long, 4, 0xffffffff);
	QUIET(unsigned char, 0xf0, and, long, 0x1f8, 0xf0);
	QUIET(unsigned char, 0x01, or, long, 0x1f8, 0xf9);
}

static void exchanges(void)
{
	const unsigned val = -1u;
	BEGIN(long, 0);

	quire_this_cpu_write(p, val);
	row(__LINE__, "write", (unsigned long long)quire_this_cpu_read(p), 0xffffffff);
	row(__LINE__, "cmpxchg", (unsigned long long)quire_this_cpu_cmpxchg(p, val, -1),
	    0xffffffff);
	row(__LINE__, "xchg", (unsigned long long)quire_this_cpu_xchg(p, val), -1ull);
	row(__LINE__, "inc_return", (unsigned long long)quire_this_cpu_inc_return(p), 0x100000000);
	row(__LINE__, "dec_return", (unsigned long long)quire_this_cpu_dec_return(p), 0xffffffff);
}

static void pointers_and_enumerations(void)
{
	enum colour {
		RED,
		GREEN = -7
	};
	static int target;
	BEGIN(enum colour, (enum colour)0);

	quire_this_cpu_write(p, GREEN);
	row(__LINE__, "enum", quire_this_cpu_read(p) == GREEN, 1);
	quire_this_cpu_write((int **)place, &target);
	row(__LINE__, "pointer", quire_this_cpu_read((int **)place) == &target, 1);
	quire_this_cpu_write((bool *)place, 4);
	row(__LINE__, "bool", quire_this_cpu_read((unsigned char *)place), 1);
}

int main(void)
{
	place = quire_alloc_percpu(quire_default(), 8, 8, 0);
	if (place == NULL || stay_here() != 0)
		return 2;
	wider_variables();
	narrower_variables();
	exchanges();
	pointers_and_enumerations();
	return failed_nr != 0;
}
