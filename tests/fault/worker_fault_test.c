/* SPDX-License-Identifier: MIT */
/* worker_fault_test.c - the system gives no thread: callers do the work, and ask again once a decay */
#include "quire_test.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <quire/page.h>

#include "base/check.h"
#include "confine.h"
#include "given_back.h"
#include "machine/clock.h"
#include "machine/linux/sanitizer.h"

#define DECAY_MS  50u
#define DECAYS	  8u
#define BLOCKS_NR 16u
#define WANTED	  MIB(24)
#define LONGEST_S 20u
#define NS_PER_MS UINT64_C(1000000)

static struct quire *q;

/*
 * Frees 32 MiB; then slow and fast calls for some decays, and until most of it is back: on a busy
 * machine a visit comes late, and a block must have been whole for a turn.
 */
static void body(void *arg)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)256 << 20, .decay_ms = DECAY_MS);
	void *blocks[BLOCKS_NR];
	uint64_t begun_ns = clock_now_ns(), until_ns, longest_ns, decays;

	(void)arg;
	confine_deny_counted(SYS_clone3, EPERM);
	CHECK(quire_create(&options, &q) == 0);
	for (unsigned i = 0; i < BLOCKS_NR; i++) {
		blocks[i] = quire_alloc_pages(q, 9, 0);
		CHECK(blocks[i] != NULL);
		memset(blocks[i], 1, quire_page_bytes(q) << 9);
	}
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		quire_free_pages(q, blocks[i], 9);
	until_ns = clock_now_ns() + DECAYS * DECAY_MS * NS_PER_MS;
	longest_ns = until_ns + LONGEST_S * 1000 * NS_PER_MS;
	while (clock_now_ns() < until_ns ||
	       ((given_back_bytes(q) < WANTED || confine_denied_nr() < 2) &&
		clock_now_ns() < longest_ns)) {
		quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
		quire_free_pages(q, quire_alloc_pages(q, 6, 0), 6);
	}
	/* One at the start, one a decay, also of those that writing the memory took. */
	decays = (clock_now_ns() - begun_ns) / (DECAY_MS * NS_PER_MS);
	CHECK_VALUES(confine_denied_nr() >= 2 && confine_denied_nr() <= decays + 2,
		     confine_denied_nr(), decays);
	CHECK_VALUES(given_back_bytes(q) >= WANTED, given_back_bytes(q), WANTED);
	CHECK(quire_verify(q) == 0);
	quire_destroy(q);
}

static void refused_thread_is_asked_for_once_a_decay(void **state)
{
	(void)state;
	if (MACHINE_TSAN || MACHINE_ASAN)
		skip_because("a sanitizer's own threads and maps would be under the filter, too");
	expect_life(body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_thread_is_asked_for_once_a_decay),
	};

	return cmocka_run_group_tests_name("worker_fault", tests, NULL, NULL);
}
