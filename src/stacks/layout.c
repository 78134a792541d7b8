/* SPDX-License-Identifier: MIT */
/*
 * stacks/layout.c - where a set's headers and entries are, and memory for them
 *
 * Each slot's region holds all headers, then the entries of class 0, of class 1, and so on.  Regions
 * cost addresses for all slots and memory only where a slot is used: until then they can be read,
 * and read zero.
 */
#include "stacks/internal.h"

#include "base/check.h"
#include "base/round.h"
#include "machine/mem.h"

_Static_assert(STACKS_STRIDE / sizeof(uint32_t) * UINT16_MAX <= UINT32_MAX,
	       "keeps_weight has room for the largest weights");

void stacks_lay_out(struct stacks *s, unsigned headers_nr)
{
	size_t end = headers_nr * sizeof(struct stack_header) / sizeof(uint32_t);

	for (unsigned i = 0; i < s->classes_nr; i++) {
		struct stacks_class *class = &s->class[i];

		CHECK(class->header < headers_nr);
		if (class->weight == 0)
			class->weight = 1;
		class->low = (uint32_t)end;
		end += class->room;
	}
	CHECK_VALUES(end * sizeof(uint32_t) + STACKS_OFFSET_MAX <= STACKS_STRIDE, end, headers_nr);
}

bool stacks_has(const struct stacks *s, unsigned slot)
{
	return slot < s->cpu.slots_nr &&
	       (s->isolated == NULL || (s->isolated[slot / 64] >> slot % 64 & 1) == 0);
}

/* The page that slot 0's region begins in. */
static char *first_page(const struct stacks *s)
{
	return (char *)((uintptr_t)s->cpu.base & ~(uintptr_t)(mem_page_bytes() - 1));
}

/* The region is wherever in its page it begins: what is behind it, up to a page, is no entry's
 * (stacks_lay_out()). */
int stacks_commit(const struct stacks *s, unsigned slot)
{
	return mem_commit_apart(first_page(s) + slot * STACKS_STRIDE, STACKS_STRIDE);
}

int stacks_commit_readable(const struct stacks *s, char *end)
{
	char *base = first_page(s);

	return s->cpu.slots_nr == 0 ? 0 : mem_commit_readonly(base, (size_t)(end - base));
}

void *stacks_reserve(struct stacks *s, size_t records_bytes, const char *name, size_t *bytes)
{
	size_t front = round_up(records_bytes, mem_page_bytes());
	char *addr;

	*bytes = front + s->cpu.slots_nr * STACKS_STRIDE;
	addr = mem_reserve(*bytes, mem_page_bytes(), name);
	if (addr == NULL)
		return NULL;
	s->cpu.base = addr + front;
	if (mem_commit_apart(addr, front) != 0 || stacks_commit_readable(s, addr + *bytes) != 0) {
		mem_release(addr, *bytes);
		return NULL;
	}
	mem_advise_huge(addr, *bytes, false);
	return addr;
}
