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

/* The file that is linked to this one: tests/tidy/percpu_types. */
#ifdef __cplusplus
extern "C"
#endif
	long
	other_own(void);
QUIRE_DECLARE_PER_CPU(int[3], shared);

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

struct tally {
	int counts[100];
};

#ifdef __cplusplus
struct ledger {
	int counts[100];
};
#endif

enum colour {
	RED,
	GREEN = -7
};

static int next(int page)
{
	return page + 1;
}

static int previous(int page)
{
	return page - 1;
}

static QUIRE_DEFINE_PER_CPU(long, own) = 1;
static QUIRE_DEFINE_PER_CPU(long, without_initialiser);
static QUIRE_DEFINE_PER_CPU(int[4], levels) = { 1, 2, 3 };
static QUIRE_DEFINE_PER_CPU(unsigned char[2][3], grid) = { { 1, 2, 3 }, { 4, 5, 6 } };
static QUIRE_DEFINE_PER_CPU(int (*)(int), reader) = next;
static QUIRE_DEFINE_PER_CPU(const long, limit) = 4;
static QUIRE_DEFINE_PER_CPU(volatile int, flag) = 9;
static QUIRE_DEFINE_PER_CPU(const char *, title) = "percpu";
static QUIRE_DEFINE_PER_CPU(struct shelf, bare_shelf);
static QUIRE_DEFINE_PER_CPU(struct shelf[2], bare_shelves);
static QUIRE_DEFINE_PER_CPU(enum colour, bare_colour);
static QUIRE_DEFINE_PER_CPU(struct shelf, shelf) = { 'a', 2, { 3, 4, 5, 6 }, next };
static QUIRE_DEFINE_PER_CPU(enum colour, colour) = GREEN;
static QUIRE_DEFINE_PER_CPU(double, ratio) = 0.5;
static QUIRE_DEFINE_PER_CPU(long, depth) = sizeof(*depth);
static QUIRE_DEFINE_PER_CPU(void *, self) = &self;
static QUIRE_DEFINE_PER_CPU(struct tally, tally) = { { 1, 2 } };
#ifdef __cplusplus
/* The name hides that of the struct as soon as it is declared. */
static QUIRE_DEFINE_PER_CPU(ledger, ledger) = { { 3, 4 } };
namespace library
{
QUIRE_DECLARE_PER_CPU(long, books);
QUIRE_DEFINE_PER_CPU(long, books) = 8;
} // namespace library
#endif

static void copies_have_the_type_of_their_pointer(void)
{
	struct shelf *made = QUIRE_ALLOC_PERCPU(quire_default(), struct shelf);
	const struct shelf *const read_only = made;
	volatile long words[2] = { 0, 0 };
	void *bytes = made;
	int whole[4] = { 0, 0, 0, 0 };

	struct shelf *copy = quire_per_cpu_ptr(made, 0);
	const struct shelf *const_copy = quire_per_cpu_ptr(read_only, 0);
	volatile long *word = quire_per_cpu_ptr(words, 0);
	int(*array)[4] = quire_per_cpu_ptr(&whole, 0);
	void *any = quire_per_cpu_ptr(bytes, 0);
	unsigned *page = quire_per_cpu_ptr(&made->pages[2], 0);
	struct shelf *here = quire_this_cpu_ptr(made);
	const unsigned short *books = quire_this_cpu_ptr(&read_only->books);

	HOLDS(copy == made && const_copy == made && word == words && array == &whole);
	HOLDS(any == made && page == &made->pages[2]);
	HOLDS(here != NULL && books != NULL);
	quire_per_cpu_ptr(made, 0)->pages[3] = 7;
	HOLDS(quire_per_cpu_ptr(made->pages, 0)[3] == 7);
	quire_free_percpu(quire_default(), made);
}

static void variables_are_of_every_type(void)
{
	const char *initial = *quire_this_cpu_ptr(title);

	for (unsigned cpu = 0; cpu < quire_percpu_units(quire_default()); cpu++) {
		HOLDS(*quire_per_cpu_ptr(own, cpu) == 1);
		HOLDS(*quire_per_cpu_ptr(without_initialiser, cpu) == 0);
		HOLDS((*quire_per_cpu_ptr(levels, cpu))[2] == 3);
		HOLDS((*quire_per_cpu_ptr(levels, cpu))[3] == 0);
		HOLDS((*quire_per_cpu_ptr(grid, cpu))[1][2] == 6);
		HOLDS((*quire_per_cpu_ptr(reader, cpu))(4) == 5);
		HOLDS(*quire_per_cpu_ptr(limit, cpu) == 4);
		HOLDS(*quire_per_cpu_ptr(flag, cpu) == 9);
		HOLDS(quire_per_cpu_ptr(bare_shelf, cpu)->reader == NULL);
		HOLDS((*quire_per_cpu_ptr(bare_shelves, cpu))[1].pages[3] == 0);
		HOLDS(*quire_per_cpu_ptr(bare_colour, cpu) == RED);
		HOLDS(quire_per_cpu_ptr(shelf, cpu)->reader == next);
		HOLDS(quire_per_cpu_ptr(shelf, cpu)->pages[3] == 6);
		HOLDS(*quire_per_cpu_ptr(colour, cpu) == GREEN);
		HOLDS(*quire_per_cpu_ptr(ratio, cpu) == 0.5);
		HOLDS((*quire_per_cpu_ptr(shared, cpu))[1] == 11);
	}
	HOLDS(initial[0] == 'p');
	HOLDS(*depth == sizeof(long));
	HOLDS(*self == &self);
	HOLDS(sizeof(*tally) == sizeof(int[100]) && tally->counts[1] == 2);
#ifdef __cplusplus
	HOLDS(sizeof(*ledger) == sizeof(int[100]) && ledger->counts[1] == 4);
	HOLDS(*library::books == 8);
#endif
}

static void static_variables_are_their_files_own(void)
{
	HOLDS(*own == 1);
	HOLDS(other_own() == 2);
}

/* Adds up what every CPU did, so it does not matter where this runs. */
static void operations_reach_fields_and_elements(void)
{
	quire_this_cpu_inc(&shelf->books);
	quire_this_cpu_add(&shelf->pages[2], 5);
	quire_this_cpu_sub(&(*levels)[1], 7);
	quire_this_cpu_add(*levels, 3);
	quire_this_cpu_or(&(*grid)[1][0], 8);
	quire_this_cpu_dec(without_initialiser);
	HOLDS(quire_per_cpu_sum(&shelf->books) == 2 * quire_percpu_units(quire_default()) + 1);
	HOLDS(quire_per_cpu_sum(&shelf->pages[2]) == 5 * quire_percpu_units(quire_default()) + 5);
	HOLDS(quire_per_cpu_sum(&(*levels)[1]) == 2 * (int)quire_percpu_units(quire_default()) - 7);
	HOLDS(quire_per_cpu_sum(&(*levels)[0]) == (int)quire_percpu_units(quire_default()) + 3);
	HOLDS(quire_per_cpu_sum(without_initialiser) == -1);
	HOLDS(quire_this_cpu_read(limit) == 4);
}

static void operations_take_pointers_and_functions(void)
{
	int (*before)(int) = quire_this_cpu_xchg(reader, previous);
	int (*seen)(int) = quire_this_cpu_cmpxchg(reader, previous, next);
	const char *name = quire_this_cpu_read(title);
	int (*field)(int);

	/* Another CPU's copy is as it was, if the thread has been moved. */
	HOLDS(before == next && (seen == previous || seen == next));
	HOLDS(quire_this_cpu_read(reader)(1) == 2 || quire_this_cpu_read(reader)(1) == 0);
	HOLDS(name[0] == 'p');
	quire_this_cpu_write(title, name + 1);
	quire_this_cpu_write(&shelf->reader, previous);
	field = quire_this_cpu_read(&shelf->reader);
	HOLDS(field == previous || field == next);
	quire_this_cpu_write(&shelf->reader, (int (*)(int))0);
	quire_this_cpu_write(title, NULL);
}

int main(void)
{
	variables_are_of_every_type();
	static_variables_are_their_files_own();
	operations_reach_fields_and_elements();
	operations_take_pointers_and_functions();
	copies_have_the_type_of_their_pointer();
	return failed_nr != 0;
}
