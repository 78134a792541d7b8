/* SPDX-License-Identifier: MIT */
/*
 * object.c - loaded objects: whether one is still loaded, and keeping our own loaded
 *
 * A destructor cannot tell dlclose() from exit(), and at exit threads may still use the data that
 * it would free.  So destructors free nothing; functions in this file check later whether an
 * object is still loaded.  The loader counts loads and unloads, so the check is cheap while
 * nothing was unloaded.
 *
 * Callers must not hold any of Quire's locks: these functions take the loader's lock, and another
 * thread may hold that lock while it calls Quire from a constructor.  In a child of a process that had
 * other threads nothing is asked, and everything counts as loaded (lost_threads.h).
 */
#include "machine/linux/object.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stddef.h>

#include "machine/atomic.h"
#include "machine/linux/lost_threads.h"
#include "machine/process.h"

/* Without a dynamic loader, or with a libc that lacks these, no object can be unloaded. */
extern __typeof__(dladdr1) dladdr1 __attribute__((weak));
extern __typeof__(dlsym) dlsym __attribute__((weak));

static int take_unloaded_nr(struct dl_phdr_info *object, size_t bytes, void *arg)
{
	uint64_t *unloaded_nr = arg;

	if (bytes >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof(object->dlpi_subs))
		*unloaded_nr = object->dlpi_subs;
	return 1; /* every object reports the same counts */
}

uint64_t process_unloaded_nr(void)
{
	uint64_t unloaded_nr = 0;

	if (!lost_threads())
		(void)dl_iterate_phdr(take_unloaded_nr, &unloaded_nr);
	return unloaded_nr;
}

struct question {
	void *const *pointer;
	const void *value;
	bool is_loaded, is_same;
};

/* While the loader calls this, nothing is unloaded. */
static int ask_object(struct dl_phdr_info *object, size_t bytes, void *arg)
{
	struct question *question = arg;

	(void)bytes;
	for (unsigned i = 0; i < object->dlpi_phnum && !question->is_loaded; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		uintptr_t offset =
			(uintptr_t)question->pointer - object->dlpi_addr - header->p_vaddr;

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_R) ||
		    offset >= header->p_memsz)
			continue;
		question->is_loaded = true;
		question->is_same = *question->pointer == question->value;
	}
	return question->is_loaded;
}

bool process_is_loaded(void *const *pointer, const void *value)
{
	struct question question = { .pointer = pointer, .value = value };

	if (lost_threads())
		return true;
	(void)dl_iterate_phdr(ask_object, &question);
	return question.is_loaded && question.is_same;
}

extern __typeof__(_DYNAMIC) _DYNAMIC __attribute__((weak, visibility("hidden")));

/*
 * Is the object that contains this code one that the loader never unloads, as its own header says?  The
 * program is, which alone has an entry for debuggers or no dynamic section at all; and so is libquire.so,
 * by a flag.  The loader would take 20 us for the same answer, and be the first in the process to allocate.
 */
static bool is_never_unloaded(void)
{
	if (_DYNAMIC == NULL)
		return true;
	for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_DEBUG ||
		    (entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & DF_1_NODELETE) != 0))
			return true;
	return false;
}

/* For a library that contains Quire.  The program itself has an empty name in the link map. */
static void pin(void)
{
	static char here;
	struct link_map *map = NULL;
	__typeof__(dlopen) *open_object;
	Dl_info info;

	if (dladdr1 == NULL || dlsym == NULL ||
	    dladdr1(&here, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL ||
	    map->l_name[0] == '\0')
		return;
	/* By name: the linker warns of static programs that refer to it. */
	*(void **)&open_object = dlsym(RTLD_DEFAULT, "dlopen");
	/* If refused, the object can still be unloaded. */
	if (open_object != NULL)
		(void)open_object(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void object_pin(void)
{
	static uint32_t
		is_pinned; /* atomic; two threads may both pin, neither may wait for the other */
	int errno_before = errno;

	if (load_relaxed(&is_pinned))
		return;
	if (!is_never_unloaded() && !lost_threads())
		pin();
	store_relaxed(&is_pinned, 1);
	errno = errno_before;
}
