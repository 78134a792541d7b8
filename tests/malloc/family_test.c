/* SPDX-License-Identifier: MIT */
/*
 * family_test.c - the rules of each function of malloc's family
 *
 * The same program is built twice: linked with quire-malloc.o, and without it, to run with
 * libquire-malloc.so preloaded.  It is compiled without builtins, or calls whose results are not
 * used would not be made.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "quire_test.h"

/* What libc's headers may not declare. */
extern void cfree(void *block) __attribute__((weak));
extern void free_sized(void *block, size_t bytes) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t align, size_t bytes) __attribute__((weak));
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t each);
extern void *__libc_realloc(void *block, size_t bytes);
extern void *__libc_memalign(size_t align, size_t bytes);
extern void *__libc_valloc(size_t bytes);
extern void *__libc_pvalloc(size_t bytes);
extern void __libc_free(void *block);

#define ERRNO_MARK 1234
#define HUGE	   ((size_t)PTRDIFF_MAX + 1)

static void fill(void *block, size_t bytes, unsigned char with)
{
	memset(block, with, bytes);
}

static bool reads(const void *block, size_t bytes, unsigned char with)
{
	const unsigned char *at = block;

	for (size_t i = 0; i < bytes; i++)
		if (at[i] != with)
			return false;
	return true;
}

/* Sizes on both sides of every boundary of classes, pages and areas. */
static const size_t sizes[] = {
	0,	  1,
	8,	  15,
	16,	  17,
	32,	  33,
	100,	  255,
	256,	  257,
	272,	  273,
	512,	  513,
	1000,	  1024,
	2048,	  2049,
	4095,	  4096,
	4097,	  8192,
	12288,	  16384,
	16385,	  30000,
	32767,	  32768,
	32769,	  40000,
	65536,	  65537,
	99999,	  131072,
	1u << 20, (1u << 21) - 1,
	1u << 21, (1u << 21) + 1,
	5u << 20,
};
#define SIZES_NR (sizeof(sizes) / sizeof(sizes[0]))

static void malloc_serves_every_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES_NR; i++) {
		char *block = malloc(sizes[i]);

		assert_non_null(block);
		assert_u64_eq((uintptr_t)block % 16, 0);
		assert_true(malloc_usable_size(block) >= sizes[i]);
		fill(block, malloc_usable_size(block), 0xa5);
		assert_true(reads(block, sizes[i], 0xa5));
		free(block);
	}
}

/* Of sizes of which there is little a third, above 4 KiB half: coarse_test.c has the others. */
static void a_block_wastes_little(void **state)
{
	unsigned wrong_nr = 0;

	(void)state;
	for (size_t bytes = 1; bytes <= 32768; bytes++) {
		void *block = malloc(bytes);
		size_t usable = malloc_usable_size(block);

		if (usable < bytes ||
		    usable - bytes > (bytes <= 64 ? 15 : usable / (bytes <= 4096 ? 3 : 2)))
			wrong_nr++;
		free(block);
	}
	assert_u64_eq(wrong_nr, 0);
}

static void blocks_do_not_overlap(void **state)
{
	enum {
		BLOCKS = 2000
	};
	static unsigned char *blocks[BLOCKS];
	unsigned wrong_nr = 0;

	(void)state;
	for (size_t i = 0; i < BLOCKS; i++) {
		size_t bytes = 1 + i * 7919 % 3000;

		blocks[i] = malloc(bytes);
		assert_non_null(blocks[i]);
		fill(blocks[i], bytes, (unsigned char)i);
	}
	for (size_t i = 0; i < BLOCKS; i++)
		wrong_nr += !reads(blocks[i], 1 + i * 7919 % 3000, (unsigned char)i);
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	assert_u64_eq(wrong_nr, 0);
}

static void malloc_of_nothing_is_unique(void **state)
{
	void *a = malloc(0), *b = malloc(0), *c = calloc(0, 10), *d = calloc(10, 0);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	assert_non_null(d);
	assert_ptr_not_equal(a, b);
	assert_ptr_not_equal(c, d);
	free(a);
	free(b);
	free(c);
	free(d);
}

static void too_much_is_enomem(void **state)
{
	static const size_t much[] = { HUGE, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095,
				       SIZE_MAX / 2 };
	void *block = malloc(100);

	(void)state;
	for (size_t i = 0; i < sizeof(much) / sizeof(much[0]); i++) {
		errno = 0;
		assert_null(malloc(much[i]));
		assert_int_equal(errno, ENOMEM);
		errno = 0;
		assert_null(calloc(1, much[i]));
		assert_int_equal(errno, ENOMEM);
		errno = 0;
		assert_null(realloc(block, much[i]));
		assert_int_equal(errno, ENOMEM);
		errno = 0;
		assert_null(aligned_alloc(64, much[i]));
		assert_int_equal(errno, ENOMEM);
		errno = 0;
		assert_null(pvalloc(much[i]));
		assert_int_equal(errno, ENOMEM);
	}
	fill(block, 100, 1);
	free(block);
}

static void calloc_reads_zero(void **state)
{
	unsigned wrong_nr = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < SIZES_NR; i++) {
			char *block = calloc(1, sizes[i]);

			assert_non_null(block);
			wrong_nr += !reads(block, sizes[i], 0);
			fill(block, malloc_usable_size(block), 0xff);
			free(block);
		}
	}
	assert_u64_eq(wrong_nr, 0);
}

static void a_product_that_overflows_is_enomem(void **state)
{
	void *block = malloc(10);

	(void)state;
	errno = 0;
	assert_null(calloc(SIZE_MAX / 2 + 1, 2));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(calloc((size_t)1 << 33, (size_t)1 << 33));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(reallocarray(block, SIZE_MAX / 2 + 1, 2));
	assert_int_equal(errno, ENOMEM);
	free(block);
}

static void untouched_calloc_takes_no_memory(void **state)
{
	uint64_t before = resident_bytes();
	char *block = calloc(1, MIB(256));

	(void)state;
	skip_if_sanitized();
	assert_non_null(block);
	assert_true(resident_bytes() < before + MIB(2));
	free(block);
}

static void realloc_keeps_what_both_have(void **state)
{
	unsigned wrong_nr = 0;

	(void)state;
	for (size_t i = 0; i < SIZES_NR; i++) {
		for (size_t j = 0; j < SIZES_NR; j++) {
			size_t both = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
			unsigned char *block = malloc(sizes[i]), *moved;

			fill(block, sizes[i], (unsigned char)(i + j + 1));
			moved = realloc(block, sizes[j]);
			if (sizes[j] == 0) {
				wrong_nr += moved != NULL;
				continue;
			}
			wrong_nr +=
				moved == NULL || !reads(moved, both, (unsigned char)(i + j + 1));
			wrong_nr += malloc_usable_size(moved) < sizes[j];
			fill(moved, sizes[j], 0x77);
			free(moved);
		}
	}
	assert_u64_eq(wrong_nr, 0);
}

static void realloc_of_null_allocates(void **state)
{
	void *block = realloc(NULL, 100), *array = reallocarray(NULL, 10, 10);

	(void)state;
	assert_non_null(block);
	assert_non_null(array);
	assert_ptr_not_equal(block, array);
	free(block);
	free(array);
}

/* As in glibc. */
static void realloc_to_nothing_frees(void **state)
{
	(void)state;
	errno = ERRNO_MARK;
	assert_null(realloc(malloc(100), 0));
	assert_int_equal(errno, ERRNO_MARK);
	assert_null(realloc(malloc(100000), 0));
	assert_int_equal(errno, ERRNO_MARK);
}

static void realloc_below_half_gives_memory_back(void **state)
{
	char *block = malloc(32000), *area = malloc(MIB(8));

	(void)state;
	block = realloc(block, 100);
	assert_true(malloc_usable_size(block) <= 128);
	area = realloc(area, MIB(1));
	assert_true(malloc_usable_size(area) <= MIB(1) + KIB(64));
	area = realloc(area, 1000);
	assert_true(malloc_usable_size(area) <= 1024);
	free(block);
	free(area);
}

static void realloc_within_a_block_stays(void **state)
{
	char *block = malloc(1000);

	(void)state;
	assert_ptr_equal(realloc(block, 1001), block);
	assert_ptr_equal(realloc(block, malloc_usable_size(block)), block);
	assert_ptr_equal(realloc(block, 600), block);
	free(block);
}

static void free_leaves_errno_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES_NR; i++) {
		void *block = malloc(sizes[i]);

		errno = ERRNO_MARK;
		free(block);
		assert_int_equal(errno, ERRNO_MARK);
	}
	errno = ERRNO_MARK;
	free(NULL);
	cfree(NULL);
	__libc_free(NULL);
	assert_int_equal(errno, ERRNO_MARK);
}

static void success_leaves_errno_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES_NR; i++) {
		void *block;

		errno = ERRNO_MARK;
		block = malloc(sizes[i]);
		assert_int_equal(errno, ERRNO_MARK);
		block = realloc(block, sizes[i] + 1);
		assert_int_equal(errno, ERRNO_MARK);
		free(block);
	}
}

static void aligned_blocks_are_aligned(void **state)
{
	unsigned wrong_nr = 0;

	(void)state;
	for (size_t align = 1; align <= MIB(4); align *= 2) {
		for (size_t i = 0; i < SIZES_NR; i++) {
			void *a = aligned_alloc(align, sizes[i]), *b = memalign(align, sizes[i]),
			     *c = NULL;

			if (align >= sizeof(void *))
				assert_int_equal(posix_memalign(&c, align, sizes[i]), 0);
			wrong_nr += a == NULL || b == NULL;
			wrong_nr += (uintptr_t)a % align != 0 || (uintptr_t)b % align != 0 ||
				    (uintptr_t)c % align != 0;
			wrong_nr += malloc_usable_size(a) < sizes[i];
			fill(a, sizes[i], 1);
			fill(b, sizes[i], 2);
			wrong_nr += !reads(a, sizes[i], 1);
			free(a);
			free(b);
			free(c);
		}
	}
	assert_u64_eq(wrong_nr, 0);
}

static void an_aligned_block_can_grow(void **state)
{
	char *block = aligned_alloc(256, 300);

	(void)state;
	fill(block, 300, 9);
	block = realloc(block, 100000);
	assert_true(reads(block, 300, 9));
	free(block);
}

/* A compiler takes a constant alignment for a promise, and clang 14 crashes where it is an odd one. */
static size_t opaque(size_t align)
{
	volatile size_t seen = align;

	return seen;
}

static void bad_alignments_are_einval(void **state)
{
	void *out = &out;

	(void)state;
	errno = 0;
	assert_null(aligned_alloc(opaque(0), 10));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(aligned_alloc(opaque(24), 48));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(posix_memalign(&out, opaque(0), 10), EINVAL);
	assert_int_equal(posix_memalign(&out, opaque(4), 10), EINVAL);
	assert_int_equal(posix_memalign(&out, opaque(24), 10), EINVAL);
	assert_ptr_equal(out, &out);
}

static void posix_memalign_leaves_errno_alone(void **state)
{
	void *out = &out;

	(void)state;
	errno = ERRNO_MARK;
	assert_int_equal(posix_memalign(&out, 64, HUGE), ENOMEM);
	assert_ptr_equal(out, &out);
	assert_int_equal(posix_memalign(&out, 64, 100), 0);
	assert_int_equal(errno, ERRNO_MARK);
	free(out);
}

static void memalign_rounds_an_alignment_up(void **state)
{
	void *block = memalign(opaque(48), 100), *none = memalign(opaque(0), 100);

	(void)state;
	assert_u64_eq((uintptr_t)block % 64, 0);
	assert_non_null(none);
	errno = 0;
	assert_null(memalign(opaque(HUGE + 1), 1));
	assert_int_equal(errno, EINVAL);
	free(block);
	free(none);
}

static void pages_are_whole(void **state)
{
	size_t page = (size_t)getpagesize();
	void *v = valloc(100), *p = pvalloc(page + 1), *none = pvalloc(0);

	(void)state;
	assert_u64_eq((uintptr_t)v % page, 0);
	assert_u64_eq((uintptr_t)p % page, 0);
	assert_true(malloc_usable_size(p) >= 2 * page);
	assert_u64_eq((uintptr_t)none % page, 0);
	free(v);
	free(p);
	free(none);
}

static void sized_frees_accept_what_was_asked_for(void **state)
{
	(void)state;
	if (free_sized == NULL || free_aligned_sized == NULL)
		skip_because("libc has no sized frees, and the library is not there");
	for (size_t i = 0; i < SIZES_NR; i++) {
		void *grown;

		free_sized(malloc(sizes[i]), sizes[i]);
		free_sized(calloc(1, sizes[i]), sizes[i]);
		grown = realloc(malloc(sizes[i]), sizes[i] + 100);
		free_sized(grown, sizes[i] + 100);
		grown = realloc(malloc(2 * sizes[i] + 2), sizes[i] + 1);
		free_sized(grown, sizes[i] + 1);
		for (size_t align = 1; align <= KIB(64); align *= 2)
			free_aligned_sized(aligned_alloc(align, sizes[i]), align, sizes[i]);
	}
	free_sized(NULL, 10);
	free_aligned_sized(NULL, 64, 10);
	assert_true(true);
}

static void libc_names_are_the_same_heap(void **state)
{
	void *blocks[] = { __libc_malloc(10), __libc_calloc(2, 10), __libc_memalign(64, 10),
			   __libc_valloc(10), __libc_pvalloc(10) };

	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		assert_non_null(blocks[i]);
		assert_true(malloc_usable_size(blocks[i]) >= 10);
		free(blocks[i]);
	}
	__libc_free(__libc_realloc(malloc(10), 1000));
	cfree(malloc(10));
}

static void usable_size_of_null_is_none(void **state)
{
	(void)state;
	assert_u64_eq(malloc_usable_size(NULL), 0);
}

static void trim_gives_memory_back(void **state)
{
	enum {
		BLOCKS = 64
	};
	char *blocks[BLOCKS];
	uint64_t full;

	(void)state;
	skip_if_sanitized();
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(MIB(1) - 100);
		fill(blocks[i], MIB(1) - 100, 1);
	}
	full = resident_bytes();
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	assert_int_equal(malloc_trim(0), 1);
	assert_true(resident_bytes() + MIB(48) < full);
}

static void trim_gives_small_blocks_back(void **state)
{
	enum {
		BLOCKS = 200000
	};
	char **blocks = malloc(BLOCKS * sizeof(*blocks));
	uint64_t full;

	(void)state;
	skip_if_sanitized();
	for (size_t i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(200);
		fill(blocks[i], 200, 1);
	}
	full = resident_bytes();
	for (size_t i = 0; i < BLOCKS; i++)
		free(blocks[i]);
	assert_int_equal(malloc_trim(0), 1);
	assert_true(resident_bytes() + MIB(32) < full);
	free(blocks);
}

/* Before there are areas, if this is the first test (docs/malloc.md). */
static void mallinfo_sees_a_first_large_block(void **state)
{
	struct mallinfo2 before = mallinfo2(), between, after;
	char *block = malloc(100000);

	(void)state;
	between = mallinfo2();
	assert_true(between.uordblks >= before.uordblks + 100000);
	assert_true(between.hblkhd >= before.hblkhd + 100000);
	assert_u64_eq(between.hblks, before.hblks + 1);
	free(block);
	malloc_trim(0); /* debug:on keeps it until then */
	after = mallinfo2();
	assert_u64_eq(after.hblks, before.hblks);
	assert_u64_eq(after.hblkhd, before.hblkhd);
}

static void mallinfo_sees_blocks_in_use(void **state)
{
	struct mallinfo2 before = mallinfo2(), between, after;
	struct mallinfo old;
	char *block = malloc(MIB(10)), *small[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		small[i] = malloc(1000);
	between = mallinfo2();
	old = mallinfo();
	assert_true(between.uordblks >= before.uordblks + MIB(10) + 100 * 1000);
	assert_true(between.hblkhd >= before.hblkhd + MIB(10));
	assert_true(between.hblks > before.hblks);
	assert_true((size_t)old.uordblks >= MIB(10));
	free(block);
	for (unsigned i = 0; i < 100; i++)
		free(small[i]);
	after = mallinfo2();
	assert_true(after.uordblks <= between.uordblks - MIB(10) - 100 * 1000);
}

static void malloc_info_is_xml(void **state)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(malloc_info(0, file), 0);
	fclose(file);
	assert_memory_equal(text, "<malloc version=\"1\">\n", 21);
	assert_non_null(strstr(text, "</malloc>\n"));
	free(text);
	errno = 0;
	assert_int_equal(malloc_info(1, stderr), -1);
	assert_int_equal(errno, EINVAL);
}

static void mallopt_takes_what_tunes_glibc(void **state)
{
	(void)state;
	assert_int_equal(mallopt(M_MMAP_THRESHOLD, 100000), 1);
	assert_int_equal(mallopt(M_ARENA_MAX, 1), 1);
	assert_int_equal(mallopt(12345, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mallinfo_sees_a_first_large_block),
		cmocka_unit_test(malloc_serves_every_size),
		cmocka_unit_test(a_block_wastes_little),
		cmocka_unit_test(blocks_do_not_overlap),
		cmocka_unit_test(malloc_of_nothing_is_unique),
		cmocka_unit_test(too_much_is_enomem),
		cmocka_unit_test(calloc_reads_zero),
		cmocka_unit_test(a_product_that_overflows_is_enomem),
		cmocka_unit_test(untouched_calloc_takes_no_memory),
		cmocka_unit_test(realloc_keeps_what_both_have),
		cmocka_unit_test(realloc_of_null_allocates),
		cmocka_unit_test(realloc_to_nothing_frees),
		cmocka_unit_test(realloc_below_half_gives_memory_back),
		cmocka_unit_test(free_leaves_errno_alone),
		cmocka_unit_test(success_leaves_errno_alone),
		cmocka_unit_test(aligned_blocks_are_aligned),
		cmocka_unit_test(an_aligned_block_can_grow),
		cmocka_unit_test(bad_alignments_are_einval),
		cmocka_unit_test(posix_memalign_leaves_errno_alone),
		cmocka_unit_test(memalign_rounds_an_alignment_up),
		cmocka_unit_test(pages_are_whole),
		cmocka_unit_test(sized_frees_accept_what_was_asked_for),
		cmocka_unit_test(libc_names_are_the_same_heap),
		cmocka_unit_test(usable_size_of_null_is_none),
		cmocka_unit_test(trim_gives_memory_back),
		cmocka_unit_test(trim_gives_small_blocks_back),
		cmocka_unit_test(malloc_info_is_xml),
		cmocka_unit_test(mallopt_takes_what_tunes_glibc),
	};
	/* debug:on moves every block that is resized, and keeps freed ones for a while: docs/malloc.md. */
	const struct CMUnitTest of_blocks_alone[] = {
		cmocka_unit_test(realloc_within_a_block_stays),
		cmocka_unit_test(mallinfo_sees_blocks_in_use),
	};
	const char *conf = getenv("QUIRE_CONF");
	int failed;

	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (conf == NULL || strstr(conf, "debug:on") == NULL)
		failed += cmocka_run_group_tests(of_blocks_alone, NULL, NULL);
	return failed;
}
