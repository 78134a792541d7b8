/* SPDX-License-Identifier: MIT */
/*
 * huge.c - advice about huge pages, and making them
 *
 * The system is set to one of three ways (/sys/kernel/mm/transparent_hugepage/enabled):
 *
 *   always    huge pages for everything that is not advised against them
 *   madvise   only for what is advised
 *   never     none; but MADV_COLLAPSE makes one all the same
 *
 * So whoever collapses asks first.  The setting is read once a process, at the first question, and whether
 * the process has turned huge pages off for itself (PR_SET_THP_DISABLE).
 */
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/backing.h"
#include "machine/linux/system.h"
#include "machine/mem.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"

enum given {
	GIVEN_UNKNOWN,
	GIVEN_NOT,
	GIVEN,
};

void mem_advise_huge(void *addr, size_t bytes, bool huge)
{
	/* Refused only by a kernel without huge pages, which needs no advice. */
	(void)backing_advise(addr, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void mem_split_huge(void *addr, size_t bytes)
{
	/* The kernel splits a huge page when a part of it is marked free; MADV_DONTNEED would only
	 * unmap the part. */
	(void)backing_advise(addr, bytes, MADV_FREE);
}

/* A process may have turned them off for itself; 3: except where they are advised. */
static bool is_disabled(void)
{
	return prctl(PR_GET_THP_DISABLE, 0ul, 0ul, 0ul, 0ul) == 1;
}

/* "always [madvise] never": the one in brackets. */
static enum given read_setting(void)
{
	char text[64];
	long got = system_read_line(ENABLED, text, sizeof(text));

	for (long i = 0; i + 1 < got; i++)
		if (text[i] == '[')
			return text[i + 1] == 'n' ? GIVEN_NOT : GIVEN;
	return GIVEN_NOT;
}

bool mem_huge_is_given(void)
{
	static uint32_t answer; /* atomic: enum given; two threads that ask find the same */
	enum given given = (enum given)load_relaxed(&answer);

	if (given == GIVEN_UNKNOWN) {
		given = annotate_has_valgrind() || is_disabled() ? GIVEN_NOT : read_setting();
		store_relaxed(&answer, (uint32_t)given);
	}
	return given == GIVEN;
}

int mem_collapse_huge(void *addr, size_t bytes)
{
	return backing_advise(addr, bytes, MADV_COLLAPSE);
}
