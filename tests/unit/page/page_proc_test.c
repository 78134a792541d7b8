/* SPDX-License-Identifier: MIT */
/* Texts in the shapes of /proc/buddyinfo, /proc/pagetypeinfo and /proc/zoneinfo: a reader written for
 * Linux's files finds the fields where it looks for them. */
#include "unit/page/page_case.h"

#define TEXT_BYTES 65536

static char text[TEXT_BYTES];

typedef size_t text_function(const struct quire *q, char *text, size_t bytes);

static text_function *const functions[] = { quire_text_buddyinfo, quire_text_pagetypeinfo,
					    quire_text_zoneinfo };

/* Pages of every type in use and free, in every zone. */
static struct quire *with_pages(void **state)
{
	struct quire *q = *state;

	for (unsigned zone = 0; zone < page_case->zones; zone++)
		for (unsigned i = 0; i < 30; i++)
			assert_non_null(quire_alloc_pages(q, i % 5, i % 3 | QUIRE_NODE(zone)));
	quire_drain_all(q);
	return q;
}

/* The @n-th line that begins with @prefix, or NULL. */
static const char *find_line(const char *prefix, unsigned n)
{
	const char *at = text;

	while (at != NULL) {
		if (strncmp(at, prefix, strlen(prefix)) == 0 && n-- == 0)
			return at;
		at = strchr(at, '\n');
		if (at != NULL)
			at++;
	}
	return NULL;
}

static unsigned count_lines(void)
{
	unsigned lines = 0;

	for (const char *at = text; *at != '\0'; at++)
		lines += *at == '\n';
	return lines;
}

/* Numbers of a line from a place on; every order's runs, as pages. */
static uint64_t sum_of_orders(const char *at)
{
	uint64_t pages = 0;

	for (unsigned order = 0; order < QUIRE_ORDERS; order++) {
		char *end;

		pages += (uint64_t)strtoull(at, &end, 10) << order;
		assert_ptr_not_equal(at, end);
		at = end;
	}
	assert_int_equal(at[0], ' ');
	assert_int_equal(at[1], '\n');
	return pages;
}

static uint64_t zoneinfo_value(const char *name, unsigned zone)
{
	char prefix[64];
	const char *line;

	snprintf(prefix, sizeof(prefix), "        %-12s ", name);
	line = find_line(prefix, zone);
	assert_non_null(line);
	return strtoull(line + strlen(prefix), NULL, 10);
}

static void a_text_is_cut_and_ended_as_by_snprintf(void **state)
{
	struct quire *q = with_pages(state);

	for (unsigned i = 0; i < 3; i++) {
		size_t bytes = functions[i](q, text, sizeof(text));
		char few[16];

		assert_u64_eq(strlen(text), bytes);
		memset(few, 'z', sizeof(few));
		assert_u64_eq(functions[i](q, few, 10), bytes);
		assert_int_equal(few[9], '\0');
		assert_memory_equal(few, text, 9);
		assert_int_equal(few[10], 'z');
		assert_u64_eq(functions[i](q, NULL, 0), bytes);
	}
}

/* "Node 0, zone   Normal      1      0 ..." */
static void buddyinfo_has_a_line_a_zone_and_a_number_an_order(void **state)
{
	struct quire *q = with_pages(state);
	unsigned node;
	char name[16];

	quire_text_buddyinfo(q, text, sizeof(text));
	assert_int_equal(count_lines(), page_case->zones);
	for (unsigned zone = 0; zone < page_case->zones; zone++) {
		const char *line = find_line("Node ", zone);

		assert_int_equal(sscanf(line, "Node %u, zone %15s", &node, name), 2);
		assert_int_equal(node, zone);
		assert_string_equal(name, "Normal");
		assert_u64_eq(sum_of_orders(strstr(line, "Normal") + 6),
			      pages_of(q)->zone[zone].free_pages);
	}
}

static void pagetypeinfo_has_linuxs_headings(void **state)
{
	struct quire *q = with_pages(state);
	struct pages *p = pages_of(q);
	unsigned number;

	quire_text_pagetypeinfo(q, text, sizeof(text));
	assert_int_equal(sscanf(text, "Page block order: %u", &number), 1);
	assert_int_equal(number, p->pageblock_order);
	assert_int_equal(sscanf(find_line("Pages per block:", 0), "Pages per block: %u", &number),
			 1);
	assert_int_equal(number, block_pages(p));
	assert_non_null(find_line("Free pages count per migrate type at order ", 0));
	assert_non_null(find_line("Number of blocks type ", 0));
}

/* "Node    0, zone   Normal, type    Unmovable      0 ..." */
static void pagetypeinfo_has_a_line_a_type(void **state)
{
	static const char *const types[] = { "Unmovable", "Movable", "Reclaimable", "HighAtomic",
					     "Isolate" };
	struct quire *q = with_pages(state);
	unsigned node;
	char name[16], type[16];

	quire_text_pagetypeinfo(q, text, sizeof(text));
	for (unsigned zone = 0; zone < page_case->zones; zone++) {
		uint64_t pages = 0;

		for (unsigned i = 0; i < 5; i++) {
			const char *line = find_line("Node    ", zone * 5 + i);

			assert_non_null(line);
			assert_int_equal(
				sscanf(line, "Node %u, zone %15[^,], type %15s", &node, name, type),
				3);
			assert_int_equal(node, zone);
			assert_string_equal(type, types[i]);
			pages += sum_of_orders(strstr(line, types[i]) + strlen(types[i]));
		}
		assert_u64_eq(pages, pages_of(q)->zone[zone].free_pages);
	}
}

static void pagetypeinfo_counts_blocks_by_type(void **state)
{
	struct quire *q = with_pages(state);
	const char *line;
	uint64_t blocks = 0;

	assert_int_equal(quire_isolate_pageblock(q, block_addr(q, 0)), 0);
	quire_text_pagetypeinfo(q, text, sizeof(text));
	line = strchr(find_line("Number of blocks type ", 0), '\n') + 1;
	line = strstr(line, "Normal") + 6;
	for (unsigned i = 0; i < 5; i++) {
		char *end;
		uint64_t n = strtoull(line, &end, 10);

		assert_true(i != 4 || n == 1);
		blocks += n;
		line = end;
	}
	assert_u64_eq(blocks, pages_of(q)->zone[0].blocks_touched);
}

static void zoneinfo_has_linuxs_fields(void **state)
{
	struct quire *q = with_pages(state);
	unsigned node;
	unsigned long long pages;

	quire_text_zoneinfo(q, text, sizeof(text));
	for (unsigned i = 0; i < page_case->zones; i++) {
		const struct zone *zone = &pages_of(q)->zone[i];
		const char *line = find_line("Node ", i);

		assert_int_equal(sscanf(line, "Node %u, zone   Normal\n  pages free     %llu",
					&node, &pages),
				 2);
		assert_int_equal(node, i);
		assert_u64_eq(pages, zone->free_pages);
		assert_u64_eq(zoneinfo_value("min", i), zone->mark_min);
		assert_u64_eq(zoneinfo_value("low", i), zone->mark_low);
		assert_u64_eq(zoneinfo_value("high", i), zone->mark_high);
		assert_u64_eq(zoneinfo_value("spanned", i), zone->managed_pages);
		assert_u64_eq(zoneinfo_value("present", i), zone->online_pages);
		assert_u64_eq(zoneinfo_value("managed", i), zone->managed_pages);
	}
}

static void zoneinfo_ends_with_the_budget_of_mappings(void **state)
{
	struct quire *q = with_pages(state);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_text_zoneinfo(q, text, sizeof(text));
	assert_int_equal(quire_page_stat_read(q, &stat), 0);
	assert_true(stat.mappings_max != 0);
	assert_u64_eq(zoneinfo_value("mappings", 0), stat.mappings);
	assert_u64_eq(zoneinfo_value("mappings_max", 0), stat.mappings_max);
	assert_u64_eq(zoneinfo_value("mappings_refused", 0), stat.mappings_refused);
}

static void zoneinfo_shows_each_cpus_lists(void **state)
{
	struct quire *q = with_pages(state);
	struct pages *p = pages_of(q);
	unsigned slot = p->stacks.cpu.all_slots_nr - 1, cpu, count, high, batch;
	const struct pcp *pcp = page_pcp(p, 0, slot);
	char heading[32];

	page_free_on(p, slot, quire_alloc_pages(q, 0, QUIRE_NODE(0)), 0);
	quire_text_zoneinfo(q, text, sizeof(text));
	assert_non_null(find_line("  pagesets\n", 0));
	snprintf(heading, sizeof(heading), "    cpu: %u\n", slot);
	assert_int_equal(sscanf(find_line(heading, 0),
				" cpu: %u\n count: %u\n high:  %u\n batch: %u\n", &cpu, &count,
				&high, &batch),
			 4);
	assert_u64_eq(count, pcp->count);
	assert_u64_eq(high, pcp->high);
	assert_u64_eq(batch, pcp->batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_text_is_cut_and_ended_as_by_snprintf),
		PAGE_TEST(buddyinfo_has_a_line_a_zone_and_a_number_an_order),
		PAGE_TEST(pagetypeinfo_has_linuxs_headings),
		PAGE_TEST(pagetypeinfo_has_a_line_a_type),
		PAGE_TEST(pagetypeinfo_counts_blocks_by_type),
		PAGE_TEST(zoneinfo_has_linuxs_fields),
		PAGE_TEST(zoneinfo_ends_with_the_budget_of_mappings),
		PAGE_TEST(zoneinfo_shows_each_cpus_lists),
	};

	return PAGE_TESTS_RUN("page_proc", tests);
}
