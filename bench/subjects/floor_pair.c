/* SPDX-License-Identifier: MIT */
/* floor_pair.c - restartable sequences on one array per CPU, and one array under one exchange
 * lock */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include "subjects/floor_pair.h"

#define STACK_PAGES  512u
#define BATCH_PAGES  256u
#define REGION_SHIFT 13 /* 8 KiB: the count and 512 pointers fit, and CPUs share no line */
#define CPUS_MAX     256u
#define PAGE_BYTES   ((size_t)4096)
#define PAGES_NR     ((size_t)262144) /* 1 GiB: eight times what the largest pattern holds */

struct region {
	uint64_t count;
	void *pages[STACK_PAGES];
	char pad[((size_t)1 << REGION_SHIFT) - (STACK_PAGES + 1) * 8];
} __attribute__((aligned(1 << REGION_SHIFT)));

static struct region regions[CPUS_MAX];
static void *spare[PAGES_NR];
static size_t spare_nr;
static int spare_lock;

/*
 * The frame of a sequence: 1 begins it, 2 is one past the commit, 4 is the abort label, to which
 * the kernel sends an interrupted sequence (a trap and the signature precede it), 5 arms it.
 */
#define SEQUENCE_BEGIN                                                                             \
	".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n"                                           \
	"3:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n"                                 \
	".pushsection __rseq_failure, \"ax\"\n\t.byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n"      \
	"4:\tjmp 5f\n\t.popsection\n"                                                              \
	"5:\tleaq 3b(%%rip), %[at]\n\tmovq %[at], %%fs:8(%[rseq])\n"                               \
	"1:\tmovl %%fs:4(%[rseq]), %k[at]\n\tshlq %[shift], %[at]\n\taddq %[base], %[at]\n"

/* The newest page of this CPU's stack, or NULL. */
static inline void *pop(void)
{
	uint64_t at, count;
	void *page;

	__asm__ volatile(SEQUENCE_BEGIN "\txorl %k[page], %k[page]\n"
					"\tmovq (%[at]), %[count]\n"
					"\ttestq %[count], %[count]\n"
					"\tjz 2f\n"
					"\tmovq (%[at], %[count], 8), %[page]\n"
					"\tdecq %[count]\n"
					"\tmovq %[count], (%[at])\n"
					"2:\n"
			 : [at] "=&r"(at), [count] "=&r"(count), [page] "=&r"(page)
			 : [rseq] "r"(__rseq_offset), [base] "r"(regions), [shift] "i"(REGION_SHIFT)
			 : "memory", "cc");
	return page;
}

/* False if this CPU's stack is full. */
static inline bool push(void *page)
{
	uint64_t at, count;

	__asm__ volatile(SEQUENCE_BEGIN "\tmovq (%[at]), %[count]\n"
					"\tincq %[count]\n"
					"\tcmpq %[full], %[count]\n"
					"\tja 2f\n"
					"\tmovq %[page], (%[at], %[count], 8)\n"
					"\tmovq %[count], (%[at])\n"
					"2:\n"
			 : [at] "=&r"(at), [count] "=&r"(count)
			 : [rseq] "r"(__rseq_offset), [base] "r"(regions),
			   [shift] "i"(REGION_SHIFT), [full] "i"(STACK_PAGES), [page] "r"(page)
			 : "memory", "cc");
	return count <= STACK_PAGES;
}

static void spare_acquire(void)
{
	while (__atomic_exchange_n(&spare_lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&spare_lock, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

static void spare_release(void)
{
	__atomic_store_n(&spare_lock, 0, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void *refill(void)
{
	void *page = NULL;

	spare_acquire();
	if (spare_nr)
		page = spare[--spare_nr];
	for (unsigned i = 1; i < BATCH_PAGES && spare_nr && push(spare[spare_nr - 1]); i++)
		spare_nr--;
	spare_release();
	return page;
}

static __attribute__((noinline)) void spill(void *page)
{
	spare_acquire();
	spare[spare_nr++] = page;
	for (unsigned i = 1; i < BATCH_PAGES && (page = pop()) != NULL; i++)
		spare[spare_nr++] = page;
	spare_release();
}

__attribute__((noinline)) void *floor_alloc(void)
{
	void *page = pop();

	return __builtin_expect(page != NULL, 1) ? page : refill();
}

__attribute__((noinline)) void floor_free(void *page)
{
	if (__builtin_expect(!push(page), 0))
		spill(page);
}

const char *floor_setup(void)
{
	char *base;

	if (__rseq_size == 0)
		return "no restartable sequences";
	base = mmap(NULL, PAGES_NR * PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return "no memory";
	for (size_t i = 0; i < PAGES_NR; i++)
		spare[spare_nr++] = base + i * PAGE_BYTES;
	return NULL;
}
