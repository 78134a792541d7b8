/* SPDX-License-Identifier: MIT */
#include "given_back.h"

#include <quire/page.h>

#include "quire_test.h"

uint64_t given_back_bytes(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_page_stat_read(q, &stat);
	return stat.reported_total_pages << stat.page_shift;
}

void await_given_back(struct quire *q, uint64_t bytes)
{
	uint64_t end_ns = await_begin();

	while (given_back_bytes(q) < bytes && await_more(end_ns))
		;
	assert_in_range(given_back_bytes(q), bytes, UINT64_MAX);
}
