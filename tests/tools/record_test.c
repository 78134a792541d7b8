/* SPDX-License-Identifier: MIT */
/*
 * record_test QUIRE - quire record against a directory that stands for a kernel
 *
 * The recorder runs as it is built; what it writes is read back, and so checked, by the reader of
 * recordings.
 */
#include "quire_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"
#include "fake_kernel.h"
#include "trace/katr.h"

static const char *quire_path;

#define PID	 40 /* of the kernel's task; it is named "worker" */
#define BEGIN_NS UINT64_C(1000000000)
#define VSTART	 UINT64_C(0xffffc90000000000)
#define VEND	 UINT64_C(0xffffe8ffffffffff)
#define HARDIRQ	 0x08

/* What the recorder said and wrote. */
struct answer {
	int status;
	char text[8192];
	struct katr_reader reader;
	struct katr_record records[256]; /* but samples and contexts */
	unsigned records_nr;
	unsigned samples_nr;
	uint64_t free_pages, list_pages, lazy_areas;
};

static struct fake_event page(unsigned format, uint32_t cpu, uint64_t us, uint64_t pfn,
			      unsigned order)
{
	struct fake_event event = {
		.format = format, .cpu = cpu, .ns = BEGIN_NS + us * 1000, .pid = PID
	};

	if (format == FAKE_PAGE_ALLOC) {
		event.values[0] = 1; /* movable */
		event.values[1] = order;
		event.values[3] = pfn;
	} else if (format == FAKE_PAGE_FREE) {
		event.values[0] = order;
		event.values[1] = pfn;
	} else {
		event.values[0] = pfn;
	}
	return event;
}

/* ---- running it ------------------------------------------------------------------------------- */

struct run {
	struct fake_kernel *kernel;
	const char *events;
	rlim_t bytes_max;				    /* of a file; 0: no limit */
	void (*add)(struct fake_kernel *kernel, pid_t pid); /* events of the recorder itself */
};

static void become_recorder(void *arg)
{
	const struct run *run = arg;
	char trace[128], proc[128], output[128];

	if (run->add != NULL)
		run->add(run->kernel, getpid());
	fake_write(run->kernel, getpid());
	snprintf(trace, sizeof(trace), "%s/trace", run->kernel->directory);
	snprintf(proc, sizeof(proc), "%s/proc", run->kernel->directory);
	snprintf(output, sizeof(output), "%s/recording", run->kernel->directory);
	setenv("QUIRE_TRACEFS", trace, 1);
	setenv("QUIRE_PROC", proc, 1);
	if (run->bytes_max != 0)
		confine_limit(RLIMIT_FSIZE, run->bytes_max);
	execl(quire_path, quire_path, "record", "--seconds", run->bytes_max != 0 ? "60" : "1",
	      "--buffer", "1m", "-o", output, "--events", run->events, (char *)NULL);
	_exit(127);
}

static void take_sample(struct answer *answer, const struct katr_record *record)
{
	const char *table = record->table->name;

	answer->samples_nr++;
	for (uint64_t row = 0; row < record->rows_nr; row++) {
		const int64_t *values = record->values + row * record->table->columns_nr;

		if (strcmp(table, "zone") == 0)
			answer->free_pages = (uint64_t)values[katr_column(record->table, "free")];
		if (strcmp(table, "pcp") == 0)
			answer->list_pages += (uint64_t)values[katr_column(record->table, "count")];
		if (strcmp(table, "vmallocinfo") == 0 &&
		    strcmp(answer->reader.strings[values[0]], "unpurged") == 0)
			answer->lazy_areas = (uint64_t)values[1];
	}
}

/* Reads all, which checks all. */
static void read_back(struct answer *answer, const char *path)
{
	struct katr_record record;
	int result = katr_open(&answer->reader, path);

	while (result == 0 && (result = katr_next(&answer->reader, &record)) == 1) {
		result = 0;
		if (record.op == KATR_SAMPLE)
			take_sample(answer, &record);
		else if (record.op != KATR_CTX && answer->records_nr < 256)
			answer->records[answer->records_nr++] = record;
	}
	if (answer->reader.error.failed)
		fail_msg("%s: %s", path, answer->reader.error.text);
}

static void record(struct answer *answer, struct run run)
{
	char path[128];

	*answer = (struct answer){ .records_nr = 0 };
	answer->status = child_answer(become_recorder, &run, answer->text, sizeof(answer->text));
	if (answer->status != 0 && answer->status != 3)
		fail_msg("status %d: %s", answer->status, answer->text);
	snprintf(path, sizeof(path), "%s/recording", run.kernel->directory);
	read_back(answer, path);
}

static void info_is(const struct answer *answer, const char *key, const char *wanted)
{
	char value[64];

	katr_info(&answer->reader, key, value, sizeof(value));
	if (strcmp(value, wanted) != 0)
		fail_msg("%s is '%s', not '%s'", key, value, wanted);
}

static bool says(const struct answer *answer, const char *line)
{
	if (strstr(answer->text, line) != NULL)
		return true;
	print_message("no '%s' in:\n%s\n", line, answer->text);
	return false;
}

/* The next record of an op from @index on; it has to be there. */
static unsigned find(const struct answer *answer, unsigned index, enum katr_op op)
{
	while (index < answer->records_nr && answer->records[index].op != op)
		index++;
	assert_true(index < answer->records_nr);
	return index;
}

/* ---- pages ------------------------------------------------------------------------------------ */

static void events_of_all_cpus_are_in_the_order_of_their_times(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;
	unsigned first, second, freed;

	(void)state;
	fake_init(&kernel);
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 1, 10, 0x200, 0));
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, 20, 0x300, 3));
	fake_event(&kernel, page(FAKE_PAGE_FREE, 1, 30, 0x300, 3));
	fake_event(&kernel, page(FAKE_PAGE_FREE, 0, 40, 0x200, 0));
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	first = find(&answer, 0, KATR_ALLOC);
	second = find(&answer, first + 1, KATR_ALLOC);
	freed = find(&answer, second + 1, KATR_FREE);
	assert_u64_eq(answer.records[first].cpu, 1);
	assert_u64_eq(answer.records[first].order, 0);
	assert_u64_eq(answer.records[second].cpu, 0);
	assert_u64_eq(answer.records[second].order, 3);
	assert_u64_eq(answer.records[freed].id, answer.records[second].id);
	assert_u64_eq(answer.records[freed].cpu, 1);
	assert_u64_eq(answer.records[find(&answer, freed + 1, KATR_FREE)].id,
		      answer.records[first].id);
	info_is(&answer, "lost", "0");
	assert_int_equal(answer.status, 0);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static void a_free_of_a_part_splits_its_block(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;
	unsigned splits_nr = 0;

	(void)state;
	fake_init(&kernel);
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, 1, 0x400, 3));
	fake_event(&kernel, page(FAKE_PAGE_FREE, 0, 2, 0x405, 0));
	/* An aligned part beside it that was not split so far down, and the rest. */
	fake_event(&kernel, page(FAKE_PAGE_FREE, 1, 3, 0x400, 2));
	fake_event(&kernel, page(FAKE_PAGE_FREE, 1, 4, 0x406, 1));
	fake_event(&kernel, page(FAKE_PAGE_FREE, 1, 5, 0x404, 0));
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	for (unsigned i = 0; i < answer.records_nr; i++)
		splits_nr += answer.records[i].op == KATR_SPLIT;
	assert_u64_eq(splits_nr, 3);
	assert_u64_eq(answer.reader.totals.live_nr, 0);
	info_is(&answer, "page.frees", "4");
	info_is(&answer, "page.partial_frees", "1");
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

/* More pages than a batch has, with page frames that fall on one another in any small table. */
static void a_free_and_its_batched_event_are_one_free(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;
	unsigned batched_nr = 0, frees_nr = 0;

	(void)state;
	fake_init(&kernel);
	for (unsigned i = 0; i < 40; i++)
		fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, i, 0x1000 * i, 0));
	for (unsigned i = 0; i < 40; i++)
		fake_event(&kernel, page(FAKE_PAGE_FREE, 0, 100 + i, 0x1000 * i, 0));
	for (unsigned i = 0; i < 39; i++)
		fake_event(&kernel, page(FAKE_PAGE_FREE_BATCHED, 0, 200 + i, 0x1000 * i, 0));
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	for (unsigned i = 0; i < answer.records_nr; i++) {
		batched_nr += answer.records[i].op == KATR_FREE_BATCHED;
		frees_nr += answer.records[i].op == KATR_FREE;
	}
	assert_u64_eq(batched_nr, 39);
	assert_u64_eq(frees_nr, 1);
	info_is(&answer, "page.batched_unmatched", "0");
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

/* The frees of both were missed: the page is given out again. */
static void a_block_given_out_twice_was_freed_in_between(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;
	unsigned freed;

	(void)state;
	fake_init(&kernel);
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, 1, 0x500, 1));
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 1, 2, 0x501, 0));
	fake_event(&kernel, page(FAKE_PAGE_FREE, 1, 3, 0x777, 0));
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	freed = find(&answer, 0, KATR_FREE);
	assert_true(answer.records[freed].flag);
	assert_u64_eq(answer.records[freed].order, 1);
	assert_u64_eq(answer.reader.totals.live_nr, 1);
	info_is(&answer, "page.inferred_frees", "1");
	info_is(&answer, "page.unpaired_frees_dropped", "1");
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static void add_own_events(struct fake_kernel *kernel, pid_t pid)
{
	struct fake_event own = page(FAKE_PAGE_ALLOC, 0, 10, 0x600, 0);
	struct fake_event others = page(FAKE_PAGE_ALLOC, 0, 11, 0x700, 0);

	own.pid = others.pid = pid;
	others.flags = HARDIRQ; /* while the recorder ran */
	fake_event(kernel, own);
	fake_event(kernel, others);
}

static void the_recorders_own_pages_are_left_out(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;
	struct katr_reader *reader = &answer.reader;

	(void)state;
	fake_init(&kernel);
	record(&answer, (struct run){ .kernel = &kernel, .events = "page", .add = add_own_events });
	info_is(&answer, "own_allocs_left_out", "1");
	info_is(&answer, "page.allocs", "1");
	assert_u64_eq(reader->objects[answer.records[find(&answer, 0, KATR_ALLOC)].id].pfn, 0x700);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

/* ---- other kinds ------------------------------------------------------------------------------ */

static struct fake_event percpu_alloc(uint64_t us, uint64_t pointer, uint64_t offset, uint64_t site)
{
	return (struct fake_event){
		.format = FAKE_PERCPU_ALLOC,
		.ns = BEGIN_NS + us * 1000,
		.pid = PID,
		.values = { pointer, 0x10000, offset, 1, 8, 24, site },
	};
}

static void objects_are_paired_by_address_with_their_site(void **state)
{
	struct fake_kernel kernel;
	struct fake_event freed = { .format = FAKE_PERCPU_FREE,
				    .cpu = 1,
				    .ns = BEGIN_NS + 9000,
				    .pid = PID,
				    .values = { 0x20008 } };
	struct answer answer;
	const struct katr_class *class;
	unsigned first;

	(void)state;
	fake_init(&kernel);
	fake_event(&kernel, percpu_alloc(1, 0x20008, 8, UINT64_C(0xffffffff81000104)));
	fake_event(&kernel, percpu_alloc(2, 0x20020, 32, UINT64_C(0xffffffff81000004)));
	fake_event(&kernel, freed);
	record(&answer, (struct run){ .kernel = &kernel, .events = "percpu" });
	first = find(&answer, 0, KATR_ALLOC);
	class = &answer.reader.classes[answer.records[first].class_index];
	assert_u64_eq(class->size_bytes, 24);
	assert_u64_eq(class->align_bytes, 8);
	assert_u64_eq(class->detail, KATR_PERCPU_ATOMIC);
	assert_string_equal(class->site, "second_site");
	assert_u64_eq(answer.records[find(&answer, first, KATR_FREE)].id, answer.records[first].id);
	assert_u64_eq(answer.reader.totals.live_nr, 1);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static struct fake_event area(uint64_t us, uint64_t address, uint64_t start, uint64_t end)
{
	return (struct fake_event){
		.format = FAKE_VMAP_ALLOC,
		.ns = BEGIN_NS + us * 1000,
		.pid = PID,
		.values = { 0, 0x3000, address, end, start, 0x1000 },
	};
}

/* Of modules too, whose range lies elsewhere: the reader checks where each area is. */
static void areas_of_all_ranges_have_their_place(void **state)
{
	struct fake_kernel kernel;
	struct fake_event freed = { .format = FAKE_VMAP_FREE,
				    .ns = BEGIN_NS + 9000,
				    .pid = PID,
				    .values = { VSTART + 0x5000 } };
	uint64_t modules = UINT64_C(0xffffffffa0000000);
	struct answer answer;

	(void)state;
	fake_init(&kernel);
	fake_event(&kernel, area(1, modules + 0x4000, modules, modules + 0x3f000000));
	fake_event(&kernel, area(2, VSTART + 0x5000, VSTART, VEND));
	fake_event(&kernel, freed);
	record(&answer, (struct run){ .kernel = &kernel, .events = "vmap" });
	info_is(&answer, "vmap.allocs", "2");
	info_is(&answer, "vmap.frees", "1");
	assert_u64_eq(answer.reader.params.vmalloc_pages, (VEND - VSTART) >> 12);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static void an_areas_use_and_site_come_from_its_stack(void **state)
{
	const unsigned long callers[3] = { 0xffffffff81000210, 0xffffffff81000310,
					   0xffffffff81000110 };
	struct fake_event stack = { .format = FAKE_STACK, .ns = BEGIN_NS + 3000, .pid = PID };
	struct fake_kernel kernel;
	struct answer answer;
	const struct katr_class *class;

	(void)state;
	fake_init(&kernel);
	stack.values[0] = (uint64_t)(uintptr_t)callers;
	fake_event(&kernel, area(2, VSTART + 0x5000, VSTART, VEND));
	fake_event(&kernel, stack);
	record(&answer, (struct run){ .kernel = &kernel, .events = "vmap" });
	class = &answer.reader.classes[answer.records[find(&answer, 0, KATR_ALLOC)].class_index];
	assert_u64_eq(class->detail, KATR_AREA_VMALLOC);
	assert_string_equal(class->site, "second_site");
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static void slab_objects_have_their_cache(void **state)
{
	struct fake_event alloc = { .format = FAKE_CACHE_ALLOC, .ns = BEGIN_NS, .pid = PID };
	struct fake_event freed = { .format = FAKE_CACHE_FREE, .ns = BEGIN_NS + 9, .pid = PID };
	struct fake_kernel kernel;
	struct answer answer;
	bool has_name = false;

	(void)state;
	fake_init(&kernel);
	alloc.values[0] = (uint64_t)(uintptr_t) "dentry";
	alloc.values[1] = 190;
	alloc.values[2] = 192;
	alloc.values[3] = freed.values[0] = 0xffff888000001000;
	fake_event(&kernel, alloc);
	fake_event(&kernel, freed);
	record(&answer, (struct run){ .kernel = &kernel, .events = "slab" });
	for (uint32_t i = 0; i < answer.reader.strings_nr; i++)
		has_name |= strcmp(answer.reader.strings[i], "dentry") == 0;
	assert_true(has_name);
	info_is(&answer, "slab.frees", "1");
	assert_u64_eq(answer.reader.classes[0].size_bytes, 192);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

/* ---- loss, absent events, marks, figures ------------------------------------------------------ */

static void loss_is_said_by_cpu_and_time_and_ends_with_3(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;

	(void)state;
	fake_init(&kernel);
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, 0, 0x10, 0));
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 1, 0, 0x11, 0));
	fake_lose(&kernel, 1, BEGIN_NS + 5000000, 77);
	fake_lose(&kernel, 1, BEGIN_NS + 9000000, 23);
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	assert_int_equal(answer.status, 3);
	assert_true(says(&answer, "lost: 77 events of CPU 1 between 0.000 s and 0.005 s"));
	assert_true(says(&answer, "lost: 23 events of CPU 1 between 0.005 s and 0.009 s"));
	assert_true(says(&answer, "lost: 100 events in all"));
	assert_true(says(&answer, "give --buffer 64m"));
	info_is(&answer, "lost", "100");
	assert_u64_eq(answer.records[find(&answer, 0, KATR_KEVENT)].cpu, 1);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static void absent_events_are_said_a_line_each(void **state)
{
	struct fake_kernel kernel;
	struct answer answer;

	(void)state;
	fake_init(&kernel);
	kernel.without = 1u << FAKE_PAGE_FREE_BATCHED;
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, 0, 0x10, 0));
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	assert_int_equal(answer.status, 0);
	assert_true(says(&answer, "absent: kmem:mm_page_free_batched\n"));
	assert_true(says(&answer, "absent: kmem:mm_page_pcpu_drain\n"));
	assert_null(strstr(answer.text, "mm_page_alloc\n"));
	assert_null(strstr(answer.text, "percpu"));
	info_is(&answer, "page.allocs", "1");
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

static void marks_and_figures_are_in_the_recording(void **state)
{
	struct fake_event mark = { .format = FAKE_PRINT, .ns = BEGIN_NS + 2000, .pid = PID };
	struct fake_kernel kernel;
	struct answer answer;
	unsigned found;

	(void)state;
	fake_init(&kernel);
	mark.values[1] = (uint64_t)(uintptr_t) "quire-mark: half way\n";
	fake_event(&kernel, page(FAKE_PAGE_ALLOC, 0, 1, 0x10, 0));
	fake_event(&kernel, mark);
	fake_event(&kernel, page(FAKE_PAGE_FREE, 0, 3, 0x10, 0));
	record(&answer, (struct run){ .kernel = &kernel, .events = "page" });
	found = find(&answer, 0, KATR_MARK);
	assert_string_equal(answer.records[found].name, "half way");
	assert_string_equal(answer.records[find(&answer, found + 1, KATR_MARK)].name, "start");
	assert_true(answer.samples_nr > 12);
	assert_u64_eq(answer.free_pages, 321);
	assert_u64_eq(answer.list_pages % 11, 0);
	assert_u64_eq(answer.lazy_areas, 1);
	katr_close(&answer.reader);
	fake_fini(&kernel);
}

/* Long before its minute is over. */
static void a_spool_that_cannot_be_written_ends_it(void **state)
{
	struct fake_kernel kernel;
	struct run run = { .kernel = &kernel, .events = "page", .bytes_max = 4096 };
	time_t begin = time(NULL);
	char text[4096];

	(void)state;
	fake_init(&kernel);
	for (unsigned i = 0; i < 200; i++)
		fake_event(&kernel, page(FAKE_PAGE_ALLOC, 1, i, i, 0));
	assert_int_equal(child_answer(become_recorder, &run, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "the spool of CPU 1: File too large"));
	assert_true(time(NULL) - begin < 30);
	fake_fini(&kernel);
}

/* ---- what it needs ---------------------------------------------------------------------------- */

static void become_recorder_without_tracefs(void *arg)
{
	setenv("QUIRE_TRACEFS", arg, 1);
	execl(quire_path, quire_path, "record", (char *)NULL);
	_exit(127);
}

static void what_is_missing_is_said_and_ends_with_2(void **state)
{
	char text[1024];
	struct fake_kernel kernel;

	(void)state;
	fake_init(&kernel);
	assert_int_equal(
		child_answer(become_recorder_without_tracefs, kernel.directory, text, sizeof(text)),
		2);
	assert_non_null(strstr(text, "instances: No such file or directory"));
	fake_fini(&kernel);
}

static void become_marker(void *arg)
{
	setenv("QUIRE_TRACEFS", arg, 1);
	execl(quire_path, quire_path, "record", "--mark", "here", (char *)NULL);
	_exit(127);
}

/* The instance of a recorder that was killed is there, without its lock. */
static void a_mark_without_a_recorder_is_refused(void **state)
{
	struct fake_kernel kernel;
	char trace[128], text[1024];

	(void)state;
	fake_init(&kernel);
	fake_write(&kernel, getpid());
	snprintf(trace, sizeof(trace), "%s/trace", kernel.directory);
	assert_int_equal(child_answer(become_marker, trace, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "nothing is recording here"));
	fake_fini(&kernel);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_of_all_cpus_are_in_the_order_of_their_times),
		cmocka_unit_test(a_free_of_a_part_splits_its_block),
		cmocka_unit_test(a_free_and_its_batched_event_are_one_free),
		cmocka_unit_test(a_block_given_out_twice_was_freed_in_between),
		cmocka_unit_test(the_recorders_own_pages_are_left_out),
		cmocka_unit_test(objects_are_paired_by_address_with_their_site),
		cmocka_unit_test(areas_of_all_ranges_have_their_place),
		cmocka_unit_test(an_areas_use_and_site_come_from_its_stack),
		cmocka_unit_test(slab_objects_have_their_cache),
		cmocka_unit_test(loss_is_said_by_cpu_and_time_and_ends_with_3),
		cmocka_unit_test(absent_events_are_said_a_line_each),
		cmocka_unit_test(marks_and_figures_are_in_the_recording),
		cmocka_unit_test(a_spool_that_cannot_be_written_ends_it),
		cmocka_unit_test(what_is_missing_is_said_and_ends_with_2),
		cmocka_unit_test(a_mark_without_a_recorder_is_refused),
	};

	if (argc != 2)
		return 2;
	quire_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
