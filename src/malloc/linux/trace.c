/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/trace.c - the calls that led to one of malloc's: by frame pointers, and as modules and offsets
 *
 * A frame begins with the caller's frame pointer and the return address.  A function that was compiled without frame
 * pointers leaves the register as it was, and its own call is missing; or it uses the register for something else, and
 * the walk ends, or follows a number.  So a frame must be further out than the last one and not too far, and
 * a system call says of each page, of eight at a time, that something is mapped there before anything in it is read.
 */
#include "malloc/traces.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"
#include "machine/linux/lost_threads.h"
#include "machine/linux/system.h"
#include "machine/mem.h"
#include "malloc/layer.h"
#include "malloc/linux/module.h"

#define STACK_BYTES_MAX ((uintptr_t)8 << 20) /* between two frames */
#define PC_MIN		((uint64_t)1 << 16)
#define PC_MAX		((uint64_t)1 << 56)
#define LOOK_PAGES	8u /* most walks see no more */
#define NAME_BYTES	192

struct frame {
	uintptr_t outer; /* the caller's frame */
	uint64_t pc;	 /* where this one returns to */
};

/* Addresses of a stack that are known to be mapped. */
struct known {
	uintptr_t start, end;
};

/* What is mapped from the page of @at on, by one call for several pages: a byte of each. */
static void look_from(uintptr_t at, struct known *known)
{
	size_t page = mem_page_bytes();
	char bytes[LOOK_PAGES];
	struct iovec to = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	struct iovec from[LOOK_PAGES];
	long pages;

	known->start = at & ~(page - 1);
	for (unsigned i = 0; i < LOOK_PAGES; i++)
		from[i] = (struct iovec){ .iov_base = (void *)(known->start + i * page),
					  .iov_len = 1 };
	pages = SYSTEM_CALL(SYS_process_vm_readv, getpid(), &to, 1L, from, (long)LOOK_PAGES, 0L);
	known->end = known->start + (pages > 0 ? (size_t)pages : 0) * page;
}

static bool read_frame(uintptr_t at, struct known *known, struct frame *frame)
{
	if (at < known->start || at + sizeof(*frame) > known->end)
		look_from(at, known);
	if (at + sizeof(*frame) > known->end)
		return false;
	memcpy(frame, (const void *)at, sizeof(*frame));
	return true;
}

/* A return address is in code: neither a small number, nor on the stack. */
static bool may_be_code(uint64_t pc, uintptr_t frame)
{
	return pc >= PC_MIN && pc < PC_MAX && pc - frame >= STACK_BYTES_MAX &&
	       frame - pc >= STACK_BYTES_MAX;
}

unsigned trace_walk(const struct malloc_call *call, uint64_t *pc, unsigned most)
{
	size_t page = mem_page_bytes();
	uintptr_t own = (uintptr_t)call->frame, at = own;
	struct known known = { .start = own & ~(page - 1), .end = (own | (page - 1)) + 1 };
	struct frame frame;
	unsigned nr = 1;

	pc[0] = (uintptr_t)call->pc;
	memcpy(&frame.outer, call->frame, sizeof(frame.outer));
	while (nr < most && frame.outer > at && frame.outer - at < STACK_BYTES_MAX &&
	       frame.outer % sizeof(uintptr_t) == 0) {
		at = frame.outer;
		if (!read_frame(at, &known, &frame) || !may_be_code(frame.pc, at))
			break;
		pc[nr++] = frame.pc;
	}
	return nr;
}

/* ---- names ---- */

static int look_at_module(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct module *module = arg;

	(void)bytes;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];

		if (part->p_type != PT_LOAD ||
		    module->pc - info->dlpi_addr - part->p_vaddr >= part->p_memsz)
			continue;
		module->offset = module->pc - info->dlpi_addr;
		module->name = info->dlpi_name;
		return 1;
	}
	return 0;
}

/* An older libc waits for a lock of the loader's, which nobody frees in a child of a process that lost threads. */
static bool find_module(struct module *module)
{
	return module_find(module) ||
	       (!lost_threads() && dl_iterate_phdr(look_at_module, module) != 0);
}

/* Every module is named by its file's path, as far as the system knows it. */
static bool put_address(struct text *text, uint64_t pc)
{
	struct module module = { .pc = pc };
	char program[NAME_BYTES];
	long bytes;

	if (!find_module(&module)) {
		text_put_hex(text, pc);
		return false;
	}
	if (module.name[0] != '\0') {
		text_put(text, module.name);
	} else {
		bytes = SYSTEM_CALL(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", program,
				    sizeof(program));
		text_put_bytes(text, bytes > 0 ? program : "program",
			       bytes > 0 ? (size_t)bytes : strlen("program"));
	}
	text_put(text, "+");
	text_put_hex(text, module.offset);
	return true;
}

void trace_put(struct text *text, const struct trace *trace)
{
	bool is_known = true;

	if (trace == NULL)
		text_put(text, " unknown calls");
	for (unsigned i = 0; trace != NULL && is_known && i < trace->calls_nr; i++) {
		text_put(text, " ");
		is_known = put_address(text, trace->pc[i]);
	}
}
