/* SPDX-License-Identifier: MIT */
/*
 * percpu_types.c - pointers, variables and operands of many types, in C and C++ (see percpu_types)
 *
 * Initialisers and assignments without a cast say which types are expected: in C++ a wrong one does
 * not compile, and in C it is a warning, which is an error here.
 */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <stdio.h>

static int failed_nr;

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: not so: %s\n", __LINE__, #condition);                     \
			failed_nr++;                                                               \
		}                                                                                  \
	} while (0)

struct shelf {
	char label;
	unsigned short books;
	unsigned pages[4];
	int (*reader)(int);
};

static void copies_have_the_type_of_their_pointer(void)
{
	struct shelf *shelf = QUIRE_ALLOC_PERCPU(quire_default(), struct shelf);
	const struct shelf *const read_only = shelf;
	volatile long words[2] = { 0, 0 };
	void *bytes = shelf;
	int whole[4] = { 0, 0, 0, 0 };

	struct shelf *copy = quire_per_cpu_ptr(shelf, 0);
	const struct shelf *const_copy = quire_per_cpu_ptr(read_only, 0);
	volatile long *word = quire_per_cpu_ptr(words, 0);
	int(*array)[4] = quire_per_cpu_ptr(&whole, 0);
	void *any = quire_per_cpu_ptr(bytes, 0);
	unsigned *page = quire_per_cpu_ptr(&shelf->pages[2], 0);
	struct shelf *here = quire_this_cpu_ptr(shelf);
	const unsigned short *books = quire_this_cpu_ptr(&read_only->books);

	HOLDS(copy == shelf && const_copy == shelf && word == words && array == &whole);
	HOLDS(any == shelf && page == &shelf->pages[2]);
	HOLDS(here != NULL && books != NULL);
	quire_per_cpu_ptr(shelf, 0)->pages[3] = 7;
	HOLDS(quire_per_cpu_ptr(shelf->pages, 0)[3] == 7);
	quire_free_percpu(quire_default(), shelf);
}

int main(void)
{
	copies_have_the_type_of_their_pointer();
	return failed_nr != 0;
}
