/* SPDX-License-Identifier: MIT */
/* run_parts_test PROGRAM OWN_MALLOC - the parts of quire run that need no process: files, figures, pictures */
#include "quire_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/observed.h"
#include "run/child.h"
#include "run/elf.h"
#include "run/figures.h"
#include "run/figures_print.h"
#include "run/history.h"

static const char *program_path, *own_malloc_path;

/* ---- ELF ------------------------------------------------------------------------------------- */

struct image {
	char *bytes;
	size_t nr;
	int fd; /* a copy in memory, which tests change */
};

static struct image image_read(const char *path)
{
	struct image image = { .bytes = malloc(MIB(4)), .fd = memfd_create("image", 0) };
	FILE *file = fopen(path, "rb");

	assert_non_null(image.bytes);
	assert_non_null(file);
	image.nr = fread(image.bytes, 1, MIB(4), file);
	fclose(file);
	return image;
}

/* The file as it was, up to @nr bytes. */
static void image_write(const struct image *image, size_t nr)
{
	assert_int_equal(ftruncate(image->fd, 0), 0);
	assert_int_equal(pwrite(image->fd, image->bytes, nr, 0), nr);
}

static void image_free(const struct image *image)
{
	free(image->bytes);
	close(image->fd);
}

static void programs_are_told_apart(void **state)
{
	struct image image = image_read(program_path);
	static struct elf_facts facts;

	(void)state;
	image_write(&image, image.nr);
	assert_int_equal(elf_read(image.fd, &facts), 0);
	assert_int_equal(facts.kind, ELF_DYNAMIC);
	assert_true(facts.loader[0] == '/');
	assert_null(facts.malloc);
	image_write(&image, 0);
	assert_int_equal(elf_read(image.fd, &facts), 0);
	assert_int_equal(facts.kind, ELF_NOT);
	for (size_t nr = 4; nr < 64; nr++) {
		image_write(&image, nr);
		assert_int_equal(elf_read(image.fd, &facts), 0);
		assert_int_equal(facts.kind, ELF_BROKEN);
		assert_non_null(facts.broken);
	}
	image_free(&image);
	image = image_read(own_malloc_path);
	image_write(&image, image.nr);
	assert_int_equal(elf_read(image.fd, &facts), 0);
	assert_string_equal(facts.malloc, "malloc");
	image_free(&image);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/* One to eight bytes, a small number or one near the largest as often as any. */
static void spoil(const struct image *image, size_t nr)
{
	uint64_t value = random_below(3) == 0	? random_below(65536)
			 : random_below(2) == 0 ? UINT64_MAX - random_below(256)
						: random_below(UINT64_MAX);
	uint64_t place = random_below(2) == 0 && nr > 1024 ? random_below(1024) : random_below(nr);

	assert_true(pwrite(image->fd, &value, (size_t)1 << random_below(4), (off_t)place) > 0);
}

/* Cut anywhere, and with up to 11 numbers changed; a sanitizer sees what a process would not. */
static void corrupt_programs_are_read_safely(void **state)
{
	uint64_t rounds = env_u64("QUIRE_RUN_ROUNDS", 20000);
	struct image images[2] = { image_read(program_path), image_read(own_malloc_path) };
	static struct elf_facts facts;
	uint64_t kinds[ELF_DYNAMIC + 1] = { 0 };

	(void)state;
	for (uint64_t round = 0; round < rounds; round++) {
		const struct image *image = &images[round % 2];
		size_t nr = round % 3 == 0 ? 1 + random_below(image->nr - 1) : image->nr;
		uint64_t changes = random_below(12);

		image_write(image, nr);
		for (uint64_t i = 0; i < changes; i++)
			spoil(image, nr);
		assert_int_equal(elf_read(image->fd, &facts), 0);
		kinds[facts.kind]++;
	}
	for (unsigned kind = 0; kind <= ELF_DYNAMIC; kind++)
		assert_true(kinds[kind] > 0);
	image_free(&images[0]);
	image_free(&images[1]);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void sizes_have_three_digits(void **state)
{
	char text[BYTES_TEXT];

	(void)state;
	assert_string_equal(bytes_text(text, 0), "0 bytes");
	assert_string_equal(bytes_text(text, 999), "999 bytes");
	assert_string_equal(bytes_text(text, 1000), "0.98 KiB");
	assert_string_equal(bytes_text(text, 1024), "1.00 KiB");
	assert_string_equal(bytes_text(text, 12900000), "12.3 MiB");
	assert_string_equal(bytes_text(text, (uint64_t)456 << 30), "456 GiB");
	assert_string_equal(bytes_text(text, UINT64_MAX), "16777216 TiB");
}

static void samples_become_rare(void **state)
{
	(void)state;
	assert_u64_eq(child_sample_after_ns(0), 100000);
	assert_u64_eq(child_sample_after_ns(8000000), 1000000);
	assert_u64_eq(child_sample_after_ns(50000000), 2000000);
	assert_u64_eq(child_sample_after_ns(1000000000), 31250000);
	assert_u64_eq(child_sample_after_ns(3600000000000), 250000000);
}

static void steps_of_an_axis_are_round(void **state)
{
	(void)state;
	assert_true(axis_step(100, 5) == 20);
	assert_true(axis_step(101, 5) == 50);
	assert_true(axis_step(7, 8) > 0.99 && axis_step(7, 8) < 1.01);
	assert_true(axis_step(1000, 5) > 199 && axis_step(1000, 5) < 201);
}

/* ---- figures --------------------------------------------------------------------------------- */

static char *text_of(void (*print)(FILE *file, void *arg), void *arg)
{
	size_t bytes;
	char *text;
	FILE *file = open_memstream(&text, &bytes);

	assert_non_null(file);
	print(file, arg);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void print_figures(FILE *file, void *arg)
{
	figures_print(file, arg);
}

static void figures_are_four_lines(void **state)
{
	static struct figures figures;
	char *text;

	(void)state;
	text = text_of(print_figures, &figures);
	assert_string_equal(
		text, "quire: in use 0 bytes at the peak, 0 bytes at the end\n"
		      "quire: resident 0 bytes at the peak, 0 bytes at the end\n"
		      "quire: 0 calls, of which 0.00 % left the fast path; 0 bytes given back\n"
		      "quire: most at the peak was in blocks of no size\n");
	free(text);
	figures.class_bytes[4] = 64;
	figures.peak = (struct rows){ .bytes = 1000000 };
	figures.peak.row_bytes[4] = 600000;
	figures.peak.row_bytes[report_large_row(300000)] = 400000;
	figures.peak.row_bytes[report_large_row(SIZE_MAX)] = 1;
	figures.used.bytes = -5; /* of different moments */
	figures.calls_nr = 1234567;
	figures.slow_nr = 12345;
	figures.uncounted_nr = 3;
	text = text_of(print_figures, &figures);
	assert_non_null(strstr(text, "in use 977 KiB at the peak, 0 bytes at the end\n"));
	assert_non_null(strstr(text, "quire: 1,234,567 calls, of which 1.00 % left"));
	assert_non_null(strstr(text, "blocks of 64 bytes (60 %), 256 KiB to 512 KiB (40 %), "
				     "8 EiB (0 %)\n"));
	assert_non_null(strstr(text, "quire: 3 processes were too many at once"));
	free(text);
}

/* Its first owner has ended, or this process would not have its pid. */
static void a_part_whose_pid_is_used_again_is_taken_back(void **state)
{
	const uint64_t own = owner_word((uint32_t)getpid(), observed_start_ticks(0));
	const uint64_t other = own - owner_word(0, 1);
	struct preload preload = { .children = true, .is_counted = true };
	struct collector collector;

	(void)state;
	assert_true(owner_start_ticks(other) != 0);
	assert_int_equal(preload_share(&preload), 0);
	for (unsigned idx = 1; idx <= 2; idx++) {
		preload.header->owner[idx].images_nr = 1;
		preload_part(&preload, idx)->cpus_nr = 1;
		preload_part(&preload, idx)->shard[0].calls_nr = 5;
	}
	preload.header->owner[1].who = other;
	preload.header->owner[2].who = own;
	collector_begin(&collector, &preload);
	collector.pid = getpid();
	collector_sample(&collector, 0);
	assert_true(preload.header->owner[1].who == 0);
	assert_int_equal(preload_part(&preload, 1)->shard[0].calls_nr, 0);
	assert_true(preload.header->owner[2].who == own);
	assert_int_equal(preload_part(&preload, 2)->shard[0].calls_nr, 5);
	assert_int_equal(collector.ended.processes_nr, 1);
	assert_int_equal(collector.ended.calls_nr, 5);
	munmap(preload.header, report_part_offset(REPORT_PARTS_NR));
	close(preload.fd);
}

/* ---- pictures -------------------------------------------------------------------------------- */

static void print_chart(FILE *file, void *arg)
{
	chart_print(file, arg, 2);
}

static void print_picture(FILE *file, void *arg)
{
	picture_print(file, "a <b> & c\n", arg, 2);
}

static void print_full_chart(FILE *file, void *arg)
{
	chart_print(file, arg, HISTORIES_MAX);
}

static void print_full_picture(FILE *file, void *arg)
{
	picture_print(file, "all", arg, HISTORIES_MAX);
}

/* One that rises to 80 MiB and stays for 4 s; one that falls to 8 MiB after 2 s. */
static void make_histories(struct history histories[HISTORIES_MAX])
{
	for (unsigned i = 0; i < HISTORIES_MAX; i++) {
		struct history *history = &histories[i];

		*history = (struct history){ .name = i == 0 ? "one" : "other",
					     .points = calloc(400, sizeof(struct history_point)),
					     .nr = 400,
					     .room = 400,
					     .peak_bytes = MIB(80),
					     .seconds = 4 };
		for (size_t p = 0; p < 400; p++) {
			history->points[p].ns = p * 10000000;
			history->points[p].bytes = p < 100 ? MIB(80) / 100 * p : MIB(80);
			if (i == 1 && p >= 200)
				history->points[p].bytes = MIB(8);
		}
	}
}

static size_t lines_nr(const char *text, size_t *longest)
{
	size_t nr = 0, length = 0;

	*longest = 0;
	for (; *text != '\0'; text++) {
		length++;
		if (*text == '\n') {
			*longest = length - 1 > *longest ? length - 1 : *longest;
			length = 0;
			nr++;
		}
	}
	return nr;
}

static void a_chart_fits_a_terminal(void **state)
{
	struct history histories[HISTORIES_MAX];
	size_t longest;
	char *text;

	(void)state;
	make_histories(histories);
	text = text_of(print_chart, histories);
	assert_int_equal(lines_nr(text, &longest), 19);
	assert_true(longest < 80);
	assert_non_null(strstr(text, "   80 MiB |"));
	assert_non_null(strstr(text, "    0 MiB |*\n"));
	assert_non_null(
		strstr(text, "*oooooooooooooooooooooooooooooooooo\n")); /* alone after 2 s */
	assert_non_null(strstr(text, "##################################\n"));
	assert_non_null(strstr(text, "           o one   # other   * both\n"));
	free(text);
	for (unsigned i = 0; i < HISTORIES_MAX; i++)
		history_fini(&histories[i]);
}

/* All names end at the same height; each has a place of its own within the picture. */
static void names_of_many_histories_are_apart(void **state)
{
	struct history histories[HISTORIES_MAX];
	double y, below = 1e9;
	size_t longest;
	char *text, *at;
	unsigned nr = 0;

	(void)state;
	make_histories(histories);
	for (unsigned i = 0; i < HISTORIES_MAX; i++) {
		histories[i].name = "tcmalloc_minimal";
		histories[i].points[399].bytes = 0;
	}
	text = at = text_of(print_full_picture, histories);
	while ((at = strstr(at, "<text x=")) != NULL) {
		at++;
		if (sscanf(at, "text x=\"%*f\" y=\"%lf\" class=\"name", &y) != 1 ||
		    strncmp(strchr(at, 'c'), "class=\"name", 11) != 0)
			continue;
		assert_true(y > 0 && y <= below - 14);
		below = y;
		nr++;
	}
	assert_int_equal(nr, HISTORIES_MAX);
	free(text);
	text = text_of(print_full_chart, histories);
	lines_nr(text, &longest);
	assert_true(longest < 80);
	assert_non_null(strstr(text, "* several\n"));
	free(text);
	for (unsigned i = 0; i < HISTORIES_MAX; i++)
		history_fini(&histories[i]);
}

static void a_history_without_samples_is_drawn(void **state)
{
	struct history histories[HISTORIES_MAX] = { { .name = "one" }, { .name = "other" } };
	size_t longest;
	char *text = text_of(print_chart, histories);

	(void)state;
	assert_int_equal(lines_nr(text, &longest), 19);
	free(text);
	text = text_of(print_picture, histories);
	assert_non_null(strstr(text, "</svg>\n"));
	free(text);
}

static void a_picture_is_well_formed(void **state)
{
	struct history histories[HISTORIES_MAX];
	char *text;

	(void)state;
	make_histories(histories);
	text = text_of(print_picture, histories);
	assert_non_null(strstr(text, "<title>Resident memory of a &lt;b&gt; &amp; c\n</title>"));
	assert_non_null(strstr(text, ">one: 80 MiB</text>"));
	assert_non_null(strstr(text, ">other: 8 MiB</text>"));
	assert_null(strstr(text, "nan"));
	free(text);
	for (unsigned i = 0; i < HISTORIES_MAX; i++)
		history_fini(&histories[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_told_apart),
		cmocka_unit_test(corrupt_programs_are_read_safely),
		cmocka_unit_test(sizes_have_three_digits),
		cmocka_unit_test(samples_become_rare),
		cmocka_unit_test(steps_of_an_axis_are_round),
		cmocka_unit_test(figures_are_four_lines),
		cmocka_unit_test(a_part_whose_pid_is_used_again_is_taken_back),
		cmocka_unit_test(a_chart_fits_a_terminal),
		cmocka_unit_test(a_history_without_samples_is_drawn),
		cmocka_unit_test(a_picture_is_well_formed),
		cmocka_unit_test(names_of_many_histories_are_apart),
	};

	if (argc < 3)
		return 2;
	program_path = argv[1];
	own_malloc_path = argv[2];
	return cmocka_run_group_tests_name("run_parts", tests, NULL, NULL);
}
