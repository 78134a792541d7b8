/* SPDX-License-Identifier: MIT */
/*
 * elf.c - reading an executable that may be cut, corrupt or made to mislead
 *
 * Only three things are wanted: does it have a loader, which, and does it bring a malloc of its own.  The
 * last is asked as the loader asks: is there a definition in the dynamic symbols?  Programs that keep
 * another allocator to themselves show it in their symbol table, unless they are stripped (elf_symbols.c).
 */
#include "run/elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>

#include "run/elf_file.h"

/* More than any linker writes; a bound for walks through a corrupt file. */
#define SEGMENTS_MAX 4096u
#define DYNAMIC_MAX  4096u

#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_ORDER (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

static void set_broken(struct elf_facts *facts, const char *what)
{
	facts->kind = ELF_BROKEN;
	facts->broken = what;
}

/* ---- segments -------------------------------------------------------------------------------- */

static bool read_segment(const struct elf_file *file, unsigned idx, ElfW(Phdr) * segment)
{
	return elf_get(file, file->header.e_phoff + (uint64_t)idx * sizeof(*segment), segment,
		       sizeof(*segment));
}

bool elf_offset(const struct elf_file *file, uint64_t address, uint64_t *offset)
{
	for (unsigned i = 0; i < file->header.e_phnum; i++) {
		ElfW(Phdr) segment;

		if (!read_segment(file, i, &segment))
			return false;
		if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
		    address - segment.p_vaddr < segment.p_filesz) {
			*offset = address - segment.p_vaddr + segment.p_offset;
			return *offset >= segment.p_offset;
		}
	}
	return false;
}

/* The loader's path; the file says how long it is. */
static void read_loader(const struct elf_file *file, const ElfW(Phdr) * segment,
			struct elf_facts *facts)
{
	if (segment->p_filesz < 2 || segment->p_filesz > sizeof(facts->loader))
		set_broken(facts, "the path of its loader is too short or too long");
	else if (!elf_get(file, segment->p_offset, facts->loader, segment->p_filesz))
		set_broken(facts, "the path of its loader is behind its end");
	else if (facts->loader[segment->p_filesz - 1] != '\0')
		set_broken(facts, "the path of its loader has no end");
	else
		facts->kind = ELF_DYNAMIC;
}

static void read_dynamic(struct elf_file *file, const ElfW(Phdr) * segment)
{
	uint64_t nr = segment->p_filesz / sizeof(ElfW(Dyn));

	for (uint64_t i = 0; i < nr && i < DYNAMIC_MAX; i++) {
		ElfW(Dyn) entry;

		if (!elf_get(file, segment->p_offset + i * sizeof(entry), &entry, sizeof(entry)) ||
		    entry.d_tag == DT_NULL)
			return;
		if (entry.d_tag == DT_SYMTAB)
			file->symbols = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_STRTAB)
			file->strings = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_GNU_HASH)
			file->gnu_hash = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_HASH)
			file->hash = entry.d_un.d_ptr;
	}
}

static void read_segments(struct elf_file *file, struct elf_facts *facts)
{
	if (file->header.e_phnum > SEGMENTS_MAX) {
		set_broken(facts, "it has too many program headers");
		return;
	}
	facts->kind = ELF_STATIC;
	for (unsigned i = 0; i < file->header.e_phnum && facts->kind != ELF_BROKEN; i++) {
		ElfW(Phdr) segment;

		if (!read_segment(file, i, &segment))
			set_broken(facts, "its program headers are behind its end");
		else if (segment.p_type == PT_INTERP)
			read_loader(file, &segment, facts);
		else if (segment.p_type == PT_DYNAMIC)
			read_dynamic(file, &segment);
	}
}

/* ---- the file -------------------------------------------------------------------------------- */

static void read_header(struct elf_file *file, struct elf_facts *facts)
{
	unsigned char ident[EI_NIDENT + 4]; /* with e_type and e_machine, the same in all classes */
	uint16_t machine;

	if (!elf_get(file, 0, ident, SELFMAG) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return;
	if (!elf_get(file, 0, ident, sizeof(ident))) {
		set_broken(facts, "its header is cut");
		return;
	}
	memcpy(&machine, ident + EI_NIDENT + 2, sizeof(machine));
	if (ident[EI_CLASS] != NATIVE_CLASS || ident[EI_DATA] != NATIVE_ORDER) {
		facts->kind = ELF_FOREIGN;
		return;
	}
	facts->machine = machine;
	if (!elf_get(file, 0, &file->header, sizeof(file->header)))
		set_broken(facts, "its header is cut");
	else if (file->header.e_type != ET_EXEC && file->header.e_type != ET_DYN)
		set_broken(facts, "it is no program");
	else if (file->header.e_phnum == 0)
		set_broken(facts, "it has no program headers");
	else if (file->header.e_phentsize != sizeof(ElfW(Phdr)))
		set_broken(facts, "its program headers have a wrong length");
	else
		read_segments(file, facts);
}

int elf_read(int fd, struct elf_facts *facts)
{
	struct elf_file file = { .fd = fd };
	struct stat status;

	*facts = (struct elf_facts){ .kind = ELF_NOT };
	if (fstat(fd, &status) != 0)
		return -errno;
	file.bytes = (uint64_t)status.st_size;
	read_header(&file, facts);
	if (facts->kind == ELF_DYNAMIC)
		facts->malloc = elf_find_malloc(&file);
	return 0;
}
