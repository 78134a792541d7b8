/* SPDX-License-Identifier: MIT */
#include "instance/holders.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/process.h"

/* The calling thread's record, or HOLDERS_NR. */
static unsigned own_record(const struct holders *holders)
{
	uint64_t thread = process_thread();
	unsigned i = 0;

	while (i < HOLDERS_NR && (holders->nr_of[i] == 0 || holders->thread[i] != thread))
		i++;
	return i;
}

/* A record that is in use, or one that is not; HOLDERS_NR if there is none. */
static unsigned any_record(const struct holders *holders, bool in_use)
{
	unsigned i = 0;

	while (i < HOLDERS_NR && (holders->nr_of[i] != 0) != in_use)
		i++;
	return i;
}

bool holders_add(struct holders *holders)
{
	unsigned i = own_record(holders);

	if (i == HOLDERS_NR)
		i = any_record(holders, false);
	if (i < HOLDERS_NR) {
		holders->thread[i] = process_thread();
		holders->nr_of[i]++;
	}
	return holders->nr++ == 0;
}

bool holders_drop(struct holders *holders, const struct quire *q, const char *function)
{
	unsigned i = own_record(holders);

	if (holders->nr == 0) {
		if (holders->ended_nr == 0)
			misuse("without its pair", function, q);
		holders->ended_nr--;
		return false;
	}
	if (i == HOLDERS_NR)
		i = any_record(holders, true);
	if (i < HOLDERS_NR)
		holders->nr_of[i]--;
	return --holders->nr == 0;
}

bool holders_fork_child(struct holders *holders)
{
	unsigned i = own_record(holders);
	uint32_t before = holders->nr, own = i < HOLDERS_NR ? holders->nr_of[i] : 0;

	memset(holders->nr_of, 0, sizeof(holders->nr_of));
	holders->nr = own;
	holders->nr_of[0] = own;
	holders->thread[0] = process_thread();
	holders->ended_nr += before - own;
	return before != 0 && own == 0;
}
