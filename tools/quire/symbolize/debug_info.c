/* SPDX-License-Identifier: MIT */
/* debug_info.c - functions, files and lines of addresses, by libdw: from the files alone, with no process and no network */
#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbolize/symbolize.h"

struct debug_info {
	Dwfl *dwfl;
	Dwfl_Callbacks callbacks;
	char *debuginfo_path; /* libdw's own */
};

struct debug_info *debug_info_open(void)
{
	struct debug_info *info = calloc(1, sizeof(*info));

	if (info == NULL) {
		fprintf(stderr, "quire symbolize: no memory\n");
		return NULL;
	}
	unsetenv("DEBUGINFOD_URLS"); /* libdw would ask servers */
	info->callbacks = (Dwfl_Callbacks){
		.find_elf = dwfl_build_id_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
		.debuginfo_path = &info->debuginfo_path,
	};
	info->dwfl = dwfl_begin(&info->callbacks);
	if (info->dwfl != NULL)
		return info;
	fprintf(stderr, "quire symbolize: %s\n", dwfl_errmsg(-1));
	free(info);
	return NULL;
}

void debug_info_close(struct debug_info *info)
{
	dwfl_end(info->dwfl);
	free(info);
}

/* ---- files ---- */

static bool has_build_id(Elf *elf, const char *wanted)
{
	const void *id;
	ssize_t bytes = dwelf_elf_gnu_build_id(elf, &id);
	char text[2 * 64 + 1] = "";

	for (ssize_t i = 0; i < bytes && i < 64; i++)
		snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
	return wanted[0] == '\0' || strcmp(text, wanted) == 0;
}

/* What is to be added to addresses in the file.  False: no code of it is mapped there.  A page of the file may have the end of one
 * part and the beginning of the next, so that only code tells which of them a mapping with stacks is of. */
static bool find_bias(Elf *elf, const struct profile_mapping *mapping, GElf_Addr *bias)
{
	size_t parts_nr;

	if (elf_getphdrnum(elf, &parts_nr) != 0)
		return false;
	for (size_t i = 0; i < parts_nr; i++) {
		GElf_Phdr part;

		if (gelf_getphdr(elf, (int)i, &part) == NULL || part.p_type != PT_LOAD ||
		    (part.p_flags & PF_X) == 0 ||
		    mapping->offset + (mapping->limit - mapping->start) <= part.p_offset ||
		    mapping->offset >= part.p_offset + part.p_filesz)
			continue;
		*bias = mapping->start - mapping->offset + part.p_offset - part.p_vaddr;
		return true;
	}
	return false;
}

static const char *look_at(const char *path, const char *build_id,
			   const struct profile_mapping *mapping, GElf_Addr *bias)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *wrong = NULL;
	Elf *elf;

	if (fd < 0)
		return "cannot be opened";
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf == NULL || elf_kind(elf) != ELF_K_ELF)
		wrong = "is no ELF file";
	else if (!has_build_id(elf, build_id))
		wrong = "is another build than the one that ran";
	else if (!find_bias(elf, mapping, bias))
		wrong = "has no code that can be where it is mapped";
	elf_end(elf);
	close(fd);
	return wrong;
}

const char *debug_info_add(struct debug_info *info, const char *path, const char *build_id,
			   const struct profile_mapping *mapping)
{
	GElf_Addr bias = 0;
	const char *wrong;

	elf_version(EV_CURRENT);
	wrong = look_at(path, build_id, mapping, &bias);
	if (wrong != NULL)
		return wrong;
	if (dwfl_addrmodule(info->dwfl, mapping->start) != NULL)
		return NULL; /* another part of the same file */
	dwfl_report_begin_add(info->dwfl);
	if (dwfl_report_elf(info->dwfl, path, path, -1, bias, true) == NULL)
		wrong = dwfl_errmsg(-1);
	dwfl_report_end(info->dwfl, NULL, NULL);
	return wrong;
}

/* ---- addresses ---- */

/* The name that the linker knows, which readers make readable; else the source's. */
static const char *name_of(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name =
		dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));

	return name != NULL ? name
			    : dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
}

static int number_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value = 0;

	(void)dwarf_formudata(dwarf_attr_integrate(die, name, &attribute), &value);
	return (int)value;
}

/* Where an inlined function was called: in the function around it. */
static void go_to_call(Dwarf_Die *unit, Dwarf_Die *inlined, struct function_line *line)
{
	size_t files_nr = 0, file = (size_t)number_of(inlined, DW_AT_call_file);
	Dwarf_Files *files;

	line->line = number_of(inlined, DW_AT_call_line);
	line->file = NULL;
	if (dwarf_getsrcfiles(unit, &files, &files_nr) == 0 && file < files_nr)
		line->file = dwarf_filesrc(files, file, NULL, NULL);
}

/* The scopes at an address, from the innermost to the function. */
static int find_scopes(Dwarf_Die *unit, Dwarf_Addr address, Dwarf_Die **scopes)
{
	Dwarf_Die *inner = NULL;
	int nr;

	*scopes = NULL;
	if (dwarf_getscopes(unit, address, &inner) <= 0)
		return 0;
	/* Of an inlined function these are the scopes where it is defined: ask where it was put. */
	nr = dwarf_getscopes_die(&inner[0], scopes);
	free(inner);
	return nr;
}

/* The unit with the code at an address.  clang makes no table of addresses: then each unit is asked. */
static Dwarf_Die *unit_of(Dwfl_Module *module, Dwarf_Addr address, Dwarf_Addr *bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, bias);

	if (unit != NULL)
		return unit;
	do
		unit = dwfl_module_nextcu(module, unit, bias);
	while (unit != NULL && dwarf_haspc(unit, address - *bias) != 1);
	return unit;
}

static bool find_in_dwarf(Dwfl_Module *module, Dwarf_Addr address,
			  void (*call)(void *arg, const struct function_line *line), void *arg)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = unit_of(module, address, &bias), *scopes;
	struct function_line line = { .function = NULL };
	Dwarf_Line *source;
	bool is_found = false;
	int nr;

	if (unit == NULL)
		return false;
	source = dwarf_getsrc_die(unit, address - bias);
	if (source != NULL) {
		line.file = dwarf_linesrc(source, NULL, NULL);
		(void)dwarf_lineno(source, &line.line);
	}
	nr = find_scopes(unit, address - bias, &scopes);
	for (int i = 0; i < nr; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
			continue;
		line.function = name_of(&scopes[i]);
		line.start_line = number_of(&scopes[i], DW_AT_decl_line);
		is_found = line.function != NULL;
		if (is_found)
			call(arg, &line);
		if (tag == DW_TAG_subprogram)
			break;
		go_to_call(unit, &scopes[i], &line);
	}
	free(scopes);
	return is_found;
}

bool debug_info_find(struct debug_info *info, uint64_t address,
		     void (*line)(void *arg, const struct function_line *line), void *arg)
{
	Dwfl_Module *module = dwfl_addrmodule(info->dwfl, address);
	struct function_line symbol = { .function = NULL };

	if (module == NULL)
		return false;
	if (find_in_dwarf(module, address, line, arg))
		return true;
	symbol.function = dwfl_module_addrname(module, address);
	if (symbol.function != NULL)
		line(arg, &symbol);
	return symbol.function != NULL;
}
