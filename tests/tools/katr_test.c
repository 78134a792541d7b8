/* SPDX-License-Identifier: MIT */
/*
 * katr_test TRACES - the reader takes what is right and refuses all else, with the offset
 *
 * Made-up recordings are cut at every byte and changed in thousands of ways; under ASan none may
 * read or write where it should not, none may run for long, and a refusal must say where.
 */
#include "quire_test.h"

#include <inttypes.h>
#include <unistd.h>

#include <quire/quire.h>

#include "trace/katr.h"
#include "replay/plan.h"
#include "trace_writer.h"

static const char *traces_directory;
static char path[64];
static int path_fd;

static int begin(void **state)
{
	(void)state;
	path_fd = memory_file(path, sizeof(path));
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(path_fd);
	return 0;
}

/* What the reader says of bytes, compressed: 0, or -1 and @error. */
static int read_bytes(const struct bytes *bytes, struct katr_error *error)
{
	struct bytes compressed = trace_compress(bytes);
	struct katr_reader reader;
	struct katr_record record;
	int result = -1;

	file_write(path, &compressed);
	bytes_free(&compressed);
	if (katr_open(&reader, path) == 0) {
		do {
			result = katr_next(&reader, &record);
		} while (result == 1);
	}
	*error = reader.error;
	katr_close(&reader);
	return result;
}

/* What a replay says of the file at @path, as it is: 0, or -1 and the line. */
static int read_plan(char *line, size_t line_bytes)
{
	struct plan plan;
	int result = plan_read(&plan, path, KATR_PAGE, line, line_bytes);

	if (result == 0)
		plan_fini(&plan);
	return result;
}

static void a_right_recording_is_read_whole(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct trace_counts counts;
		struct bytes trace = trace_make(seed, 500, &counts);
		struct bytes compressed = trace_compress(&trace);
		struct plan plan;
		char line[256] = "";

		(void)state;
		file_write(path, &compressed);
		assert_int_equal(plan_read(&plan, path, KATR_PAGE, line, sizeof(line)), 0);
		assert_string_equal(line, "");
		assert_u64_eq(plan.totals.records_nr, counts.records_nr);
		assert_u64_eq(plan.totals.ids_nr, counts.ids_nr);
		assert_u64_eq(plan.totals.allocs_nr, counts.page_allocs_nr);
		assert_u64_eq(plan.totals.splits_nr, counts.splits_nr);
		assert_u64_eq(plan.totals.fails_nr, counts.fails_nr);
		assert_u64_eq(plan.totals.frees_batched_nr, counts.batched_nr);
		assert_u64_eq(plan.totals.live_pages, counts.live_pages);
		assert_u64_eq(plan.marks[plan.marks_nr - 1].kernel.occupancy.live_pages,
			      counts.live_pages);
		assert_u64_eq(plan.marks[0].kernel.free_pages, 2001);
		plan_fini(&plan);
		bytes_free(&trace);
		bytes_free(&compressed);
	}
}

/* Each plan takes its own kind and leaves the others alone. */
static void the_kinds_of_a_recording_are_told_apart(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(5, 3000, &counts);
	struct bytes compressed = trace_compress(&trace);
	const uint64_t allocs_nr[] = { [KATR_PAGE] = counts.page_allocs_nr,
				       [KATR_PERCPU] = counts.percpu_allocs_nr,
				       [KATR_VMAP] = counts.vmap_allocs_nr };
	struct plan plan;
	unsigned kinds = 0;
	char line[256];

	(void)state;
	file_write(path, &compressed);
	assert_int_equal(plan_read_kinds(path, &kinds, line, sizeof(line)), 0);
	assert_int_equal(kinds, 7);
	for (unsigned kind = KATR_PAGE; kind <= KATR_VMAP; kind++) {
		assert_int_equal(plan_read(&plan, path, (enum katr_kind)kind, line, sizeof(line)),
				 0);
		assert_true(allocs_nr[kind] > 50);
		assert_u64_eq(plan.totals.allocs_nr, allocs_nr[kind]);
		plan_fini(&plan);
	}
	bytes_free(&trace);
	bytes_free(&compressed);
}

/* The guard page is ours to add; time and marks stand where they were recorded. */
static void a_plan_of_areas_asks_for_what_was_used(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(6, 3000, &counts);
	struct bytes compressed = trace_compress(&trace);
	const struct plan_kernel_vmap *kernel;
	struct plan plan;
	char line[256];

	(void)state;
	file_write(path, &compressed);
	assert_int_equal(plan_read(&plan, path, KATR_VMAP, line, sizeof(line)), 0);
	assert_u64_eq(plan.requests[5].bytes, 4 * 4096);
	assert_u64_eq(plan.requests[5].align_bytes, 4 * 4096);
	assert_u64_eq(plan.requests[6].bytes, 32 * 4096);
	assert_u64_eq(plan.requests[7].bytes, 8 * 4096);
	assert_u64_eq(plan.requests[7].align_bytes, 1);
	assert_u64_eq(plan.requests[0].bytes, 0);
	assert_int_equal(plan.marks[0].wait_seconds, 0);
	assert_int_equal(plan.marks[plan.marks_nr - 1].wait_seconds, 1);
	kernel = &plan.marks[plan.marks_nr - 1].kernel.vmap;
	assert_u64_eq(kernel->busy_areas, 10);
	assert_u64_eq(kernel->lazy_areas, 11);
	assert_u64_eq(kernel->lazy_bytes, 11 * 4096);
	assert_u64_eq(kernel->used_kB, 16648);
	assert_u64_eq(kernel->purges, 7);
	plan_fini(&plan);
	bytes_free(&trace);
	bytes_free(&compressed);
}

static void a_plan_of_objects_asks_for_what_was_used(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(6, 3000, &counts);
	struct bytes compressed = trace_compress(&trace);
	const struct plan_kernel_percpu *kernel;
	struct plan plan;
	char line[256];

	(void)state;
	file_write(path, &compressed);
	assert_int_equal(plan_read(&plan, path, KATR_PERCPU, line, sizeof(line)), 0);
	assert_u64_eq(plan.requests[8].bytes, 16);
	assert_int_equal(plan.requests[8].flags, 0);
	assert_u64_eq(plan.requests[9].bytes, 1216);
	assert_u64_eq(plan.requests[9].align_bytes, 64);
	assert_int_equal(plan.requests[9].flags, QUIRE_ATOMIC);
	kernel = &plan.marks[plan.marks_nr - 1].kernel.percpu;
	assert_u64_eq(kernel->populated_kB, 2320);
	assert_u64_eq(kernel->chunks, 24);
	assert_u64_eq(kernel->objects, 1604);
	assert_u64_eq(kernel->empty_pages, 189);
	assert_u64_eq(kernel->chunks_created, 21);
	plan_fini(&plan);
	bytes_free(&trace);
	bytes_free(&compressed);
}

static void every_cut_of_the_bytes_is_refused(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(7, 60, &counts);

	(void)state;
	for (size_t cut = 0; cut < trace.nr; cut++) {
		struct bytes part = { .data = trace.data, .nr = cut };
		struct katr_error error;

		assert_int_equal(read_bytes(&part, &error), -1);
		assert_true(error.at_offset);
		assert_true(error.offset <= cut);
		assert_true(error.text[0] != '\0');
	}
	bytes_free(&trace);
}

static void every_cut_of_the_file_is_refused(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(8, 60, &counts);
	struct bytes compressed = trace_compress(&trace);
	char line[256];

	(void)state;
	for (size_t cut = 0; cut < compressed.nr; cut++) {
		struct bytes part = { .data = compressed.data, .nr = cut };

		file_write(path, &part);
		assert_int_equal(read_plan(line, sizeof(line)), -1);
		assert_non_null(strstr(line, ": at byte "));
	}
	bytes_free(&trace);
	bytes_free(&compressed);
}

/* One to four changes: a byte, a bit, or a piece that is dropped or doubled. */
static void change(struct bytes *bytes, uint64_t *random)
{
	for (uint64_t left = 1 + random_next(random) % 4; left > 0 && bytes->nr > 8; left--) {
		size_t at = random_next(random) % bytes->nr;
		size_t piece = 1 + random_next(random) % 8;

		switch (random_next(random) % 4) {
		case 0:
			bytes->data[at] = (uint8_t)random_next(random);
			break;
		case 1:
			bytes->data[at] ^= (uint8_t)(1u << random_next(random) % 8);
			break;
		case 2:
			piece = piece < bytes->nr - at ? piece : bytes->nr - at;
			memmove(bytes->data + at, bytes->data + at + piece, bytes->nr - at - piece);
			bytes->nr -= piece;
			break;
		default:
			bytes->data[at] = 0xff;
		}
	}
}

static void changed_bytes_never_break_the_reader(void **state)
{
	uint64_t rounds = env_u64("QUIRE_TEST_ROUNDS", 4000);
	uint64_t refused_nr = 0;
	uint64_t random = env_u64("QUIRE_TEST_SEED", 1);

	(void)state;
	printf("QUIRE_TEST_SEED=%" PRIu64 " QUIRE_TEST_ROUNDS=%" PRIu64 "\n", random, rounds);
	for (uint64_t i = 0; i < rounds; i++) {
		struct trace_counts counts;
		struct bytes trace = trace_make(i % 50, 40, &counts);
		struct katr_error error;
		size_t bytes_nr;
		char line[256];

		change(&trace, &random);
		bytes_nr = trace.nr;
		if (read_bytes(&trace, &error) != 0) {
			refused_nr++;
			assert_true(error.text[0] != '\0');
			assert_true(error.offset <= bytes_nr);
		}
		assert_int_equal(read_plan(line, sizeof(line)), error.failed ? -1 : 0);
		bytes_free(&trace);
	}
	/* A few changes are harmless: a name, a time that another one makes up for. */
	assert_true(refused_nr > rounds * 8 / 10);
}

static void changed_files_are_refused(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(9, 100, &counts);
	struct bytes right = trace_compress(&trace);
	uint64_t random = 3;
	char line[256];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct bytes wrong = { .data = NULL };

		bytes_put(&wrong, right.data, right.nr);
		change(&wrong, &random);
		file_write(path, &wrong);
		/* Changes may cancel out, or hit bits that zstd has no use for; the checksum sees
		 * all others. */
		if (!trace_is_compressed(&wrong, &trace))
			assert_int_equal(read_plan(line, sizeof(line)), -1);
		bytes_free(&wrong);
	}
	bytes_free(&trace);
	bytes_free(&right);
}

/* ---- what each check says -------------------------------------------------------------------- */

static void foreign_files_are_named_as_such(void **state)
{
	static const char text[] = "all: build/build.ninja\n\t@ninja -C build\n";
	struct bytes bytes = { .data = NULL };
	struct katr_error error;
	char line[256];

	(void)state;
	bytes_put(&bytes, text, sizeof(text));
	file_write(path, &bytes);
	assert_int_equal(read_plan(line, sizeof(line)), -1);
	assert_non_null(strstr(line, "at byte 0: not a recording: it does not begin with a zstd"));
	assert_int_equal(read_bytes(&bytes, &error), -1);
	assert_string_equal(error.text, "not a KATRACE recording");
	assert_u64_eq(error.offset, 0);
	bytes_free(&bytes);
}

static void files_that_cannot_be_opened_have_no_offset(void **state)
{
	struct plan plan;
	char line[256];

	(void)state;
	assert_int_equal(plan_read(&plan, "no/such/file", KATR_PAGE, line, sizeof(line)), -1);
	assert_string_equal(line, "no/such/file: No such file or directory");
	assert_int_equal(plan_read(&plan, "/", KATR_VMAP, line, sizeof(line)), -1);
	assert_string_equal(line, "/: Is a directory");
}

static void another_version_is_refused(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(2, 30, &counts);
	struct katr_error error;

	(void)state;
	trace.data[8] = 2;
	assert_int_equal(read_bytes(&trace, &error), -1);
	assert_string_equal(error.text, "version 2; this reader knows version 1");
	assert_u64_eq(error.offset, 8);
	trace.data[8] = 1;
	trace.data[10] = 9; /* any minor version is read */
	assert_int_equal(read_bytes(&trace, &error), 0);
	bytes_free(&trace);
}

/* Where the records begin. */
static size_t header_bytes(const struct bytes *trace)
{
	return trace->data[12] | (size_t)trace->data[13] << 8;
}

/* Records that stand alone after a right header, and what the reader says of them. */
static const struct {
	const char *text;
	size_t records_nr;
	uint8_t records[12];
} refusals[] = {
	{ "free names an id that was never given", 2, { 0x01, 0 } },
	{ "split names an id that was never given", 3, { 0x03, 0, 0 } },
	{ "free names an id that is not live: 0", 7, { 0x00, 0, 2, 0x01, 0, 0x01, 0 } },
	{ "class 10 is not one of 10", 2, { 0x00, 10 } },
	{ "CPU 2 is not one of 2", 2, { 0x10, 2 } },
	{ "an unknown op: 9", 1, { 0x09 } },
	{ "a split of order 0 into order 0", 6, { 0x00, 0, 2, 0x03, 0, 0 } },
	{ "page frame 0x1 order 0 overlaps a live allocation", 6, { 0x00, 0, 2, 0x00, 0, 0 } },
	{ "page frame 0x1 is not aligned to order 3", 3, { 0x00, 2, 2 } },
	{ "a page frame number is out of range", 3, { 0x00, 0, 1 } },
	{ "a batched free of a vmap allocation", 5, { 0x00, 5, 2, 0x02, 0 } },
	{ "a batched free of a percpu allocation", 6, { 0x00, 8, 0, 2, 0x02, 0 } },
	{ "a split of order 0 into order 0", 6, { 0x00, 6, 2, 0x03, 0, 0 } },
	{ "an area lies outside the vmalloc space", 3, { 0x00, 5, 1 } },
	{ "a percpu offset is out of range or not aligned", 4, { 0x00, 9, 0, 1 } },
	{ "the recording counted 1 live vmap bytes, the records 0",
	  8,
	  { 0x07, 0, 1, 0, 0, 2, 0, 0 } },
	{ "free names an id that is not live: 0", 7, { 0x00, 5, 2, 0x01, 0, 0x01, 0 } },
	{ "task 1 is not one of 1", 2, { 0x05, 4 } },
	{ "a mark's name is not in the string table", 2, { 0x06, 99 } },
	{ "a sample's table is not one of 5", 3, { 0x07, 5, 1 } },
	{ "a sample names a string that is not in the table", 5, { 0x07, 1, 1, 100, 0 } },
	{ "the recording counted 1 live page bytes, the records 0",
	  8,
	  { 0x07, 0, 1, 2, 0, 0, 0, 0 } },
	{ "a number exceeds 64 bits",
	  11,
	  { 0x05, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2 } },
	{ "truncated: the file ends here", 1, { 0x00 } },
	{ "truncated: there is no END record", 2, { 0x05, 0 } },
};

static void wrong_records_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct trace_counts counts;
		struct bytes trace = trace_make(2, 30, &counts);
		size_t first = header_bytes(&trace);
		struct katr_error error;

		trace.nr = first;
		bytes_put(&trace, refusals[i].records, refusals[i].records_nr);
		assert_int_equal(read_bytes(&trace, &error), -1);
		assert_string_equal(error.text, refusals[i].text);
		assert_true(error.offset >= first);
		bytes_free(&trace);
	}
}

static void a_wrong_total_is_refused(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(2, 30, &counts);
	struct katr_error error;

	(void)state;
	trace.data[trace.nr - 1] ^= 1; /* END's live ids */
	assert_int_equal(read_bytes(&trace, &error), -1);
	assert_non_null(strstr(error.text, " live ids; there are "));
	trace.data[trace.nr - 1] ^= 1;
	bytes_put_byte(&trace, 0);
	assert_int_equal(read_bytes(&trace, &error), -1);
	assert_string_equal(error.text, "bytes follow END");
	bytes_free(&trace);
}

/* ---- real recordings ------------------------------------------------------------------------- */

static void read_real(struct plan *plan, const char *name, enum katr_kind kind)
{
	char real_path[512];
	char line[600] = "";

	snprintf(real_path, sizeof(real_path), "%s/%s", traces_directory, name);
	assert_int_equal(plan_read(plan, real_path, kind, line, sizeof(line)), 0);
	assert_string_equal(line, "");
}

static const struct plan_mark *find_mark(const struct plan *plan, const char *name)
{
	const struct plan_mark *found = NULL;

	for (uint32_t i = 0; i < plan->marks_nr; i++)
		if (strcmp(plan->marks[i].name, name) == 0)
			found = &plan->marks[i];
	assert_non_null(found);
	return found;
}

/* The facts are those of traces/README.md. */
static void the_recorded_compile_is_as_described(void **state)
{
	const struct plan_mark *mark;
	struct plan plan;

	(void)state;
	read_real(&plan, "pages-build.katr.zst", KATR_PAGE);
	assert_u64_eq(plan.totals.records_nr, 1742990);
	assert_u64_eq(plan.totals.ids_nr, 874486);
	assert_u64_eq(plan.totals.allocs_nr, 874317);
	assert_u64_eq(plan.totals.frees_nr, 864590);
	assert_u64_eq(plan.totals.frees_batched_nr, 837116);
	assert_u64_eq(plan.totals.live_blocks_peak, 29018);
	assert_u64_eq(plan.totals.live_blocks, 9727);
	mark = find_mark(&plan, "build-end");
	assert_u64_eq(mark->live_blocks, 7917);
	assert_u64_eq(mark->kernel.occupancy.live_pages, 16173);
	assert_u64_eq(mark->kernel.occupancy.blocks_pinned, 1269);
	mark = find_mark(&plan, "removed");
	assert_u64_eq(mark->live_blocks, 834);
	assert_u64_eq(mark->kernel.occupancy.blocks_pinned, 480);
	assert_u64_eq(mark->kernel.occupancy.blocks_mixed, 0);
	plan_fini(&plan);
}

static void the_mixed_recording_is_as_described(void **state)
{
	struct plan plan;

	(void)state;
	read_real(&plan, "pages-mixed.katr.zst", KATR_PAGE);
	assert_u64_eq(plan.totals.records_nr, 1096927);
	assert_u64_eq(plan.totals.allocs_nr, 526480);
	assert_u64_eq(plan.totals.frees_nr, 525797);
	assert_u64_eq(plan.totals.splits_nr, 984);
	assert_u64_eq(plan.totals.live_blocks_peak, 76804);
	assert_u64_eq(find_mark(&plan, "mixed-done")->live_blocks, 1920);
	assert_u64_eq(plan.totals.live_blocks, 1719);
	plan_fini(&plan);
}

static void the_recorded_areas_are_as_described(void **state)
{
	const struct plan_mark *mark;
	struct plan plan;

	(void)state;
	read_real(&plan, "vmalloc-bpf.katr.zst", KATR_VMAP);
	assert_u64_eq(plan.totals.records_nr, 285987);
	assert_u64_eq(plan.totals.allocs_nr, 131363);
	assert_u64_eq(plan.totals.frees_nr, 131358);
	assert_u64_eq(plan.totals.live_blocks_peak, 864);
	assert_u64_eq(plan.totals.live_blocks, 5);
	mark = find_mark(&plan, "high");
	assert_u64_eq(mark->live_blocks, 518);
	assert_u64_eq(mark->kernel.vmap.used_kB, 237376);
	assert_u64_eq(mark->kernel.vmap.purges, 122);
	assert_u64_eq(mark->kernel.vmap.busy_areas, 29 + 701 + 49);
	assert_u64_eq(mark->kernel.vmap.lazy_areas, 164);
	assert_int_equal(find_mark(&plan, "released+2s")->wait_seconds, 2);
	plan_fini(&plan);
	/* A recording of pages has those of the same time. */
	read_real(&plan, "pages-build.katr.zst", KATR_VMAP);
	assert_u64_eq(plan.totals.allocs_nr, 169);
	assert_u64_eq(plan.totals.frees_nr, 160);
	plan_fini(&plan);
}

/* The headline of traces/README.md: name, allocations, and Percpu at its marks from the third on. */
static const struct {
	const char *name;
	uint64_t allocs_nr, frees_nr, live_peak;
	uint64_t populated_kB[3];
} percpu_recordings[] = {
	{ "percpu-cgroups-11k.katr.zst", 217562, 217557, 121019, { 46192, 21960, 21960 } },
	{ "percpu-cgroups-27k-batch.katr.zst", 332940, 332935, 302517, { 114400, 32992, 32992 } },
	{ "percpu-cgroups-27k.katr.zst", 543353, 543342, 302527, { 114224, 53912, 53912 } },
	{ "percpu-mixed-dev.katr.zst", 135257, 135229, 36969, { 16968, 14368, 8472 } },
};

static void the_recorded_objects_are_as_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(percpu_recordings) / sizeof(percpu_recordings[0]); i++) {
		struct plan plan;

		read_real(&plan, percpu_recordings[i].name, KATR_PERCPU);
		assert_u64_eq(plan.totals.allocs_nr, percpu_recordings[i].allocs_nr);
		assert_u64_eq(plan.totals.frees_nr, percpu_recordings[i].frees_nr);
		assert_u64_eq(plan.totals.live_blocks_peak, percpu_recordings[i].live_peak);
		for (unsigned mark = 0; mark < 3; mark++)
			assert_u64_eq(plan.marks[2 + mark].kernel.percpu.populated_kB,
				      percpu_recordings[i].populated_kB[mark]);
		plan_fini(&plan);
	}
}

static void real_recordings_are_refused_when_cut_or_changed(void **state)
{
	char real_path[512];
	struct bytes right;
	char line[256];

	(void)state;
	snprintf(real_path, sizeof(real_path), "%s/pages-mixed.katr.zst", traces_directory);
	right = file_read(real_path);
	for (size_t i = 1; i <= 8; i++) {
		struct bytes part = { .data = right.data, .nr = right.nr - right.nr * i / 8 - 1 };

		part.nr = i == 8 ? 10 : part.nr;
		file_write(path, &part);
		assert_int_equal(read_plan(line, sizeof(line)), -1);
		assert_non_null(strstr(line, ": at byte "));
		right.data[right.nr * i / 9] ^= 0x10;
		file_write(path, &right);
		assert_int_equal(read_plan(line, sizeof(line)), -1);
		assert_non_null(strstr(line, ": at byte "));
		right.data[right.nr * i / 9] ^= 0x10;
	}
	bytes_free(&right);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_recording_is_read_whole),
		cmocka_unit_test(the_kinds_of_a_recording_are_told_apart),
		cmocka_unit_test(a_plan_of_areas_asks_for_what_was_used),
		cmocka_unit_test(a_plan_of_objects_asks_for_what_was_used),
		cmocka_unit_test(every_cut_of_the_bytes_is_refused),
		cmocka_unit_test(every_cut_of_the_file_is_refused),
		cmocka_unit_test(changed_bytes_never_break_the_reader),
		cmocka_unit_test(changed_files_are_refused),
		cmocka_unit_test(foreign_files_are_named_as_such),
		cmocka_unit_test(files_that_cannot_be_opened_have_no_offset),
		cmocka_unit_test(another_version_is_refused),
		cmocka_unit_test(wrong_records_are_named),
		cmocka_unit_test(a_wrong_total_is_refused),
		cmocka_unit_test(the_recorded_compile_is_as_described),
		cmocka_unit_test(the_mixed_recording_is_as_described),
		cmocka_unit_test(the_recorded_areas_are_as_described),
		cmocka_unit_test(the_recorded_objects_are_as_described),
		cmocka_unit_test(real_recordings_are_refused_when_cut_or_changed),
	};

	traces_directory = argc > 1 ? argv[1] : "traces";
	return cmocka_run_group_tests(tests, begin, end);
}
