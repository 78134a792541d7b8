/* SPDX-License-Identifier: MIT */
/* elf_file.h - shared by the files that read ELF */
#ifndef QUIRE_TOOL_RUN_ELF_FILE_H
#define QUIRE_TOOL_RUN_ELF_FILE_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file {
	int fd;
	uint64_t bytes; /* its length */
	ElfW(Ehdr) header;
	/* Addresses from the dynamic section; 0: none. */
	uint64_t symbols, strings, gnu_hash, hash;
};

/* @bytes at @offset; false if they are not all in the file, or cannot be read. */
bool elf_get(const struct elf_file *file, uint64_t offset, void *buffer, size_t bytes);
/* Where in the file an address of the program is; false if it is in no part that is loaded from there. */
bool elf_offset(const struct elf_file *file, uint64_t address, uint64_t *offset);
/* The function of its own that serves the program's malloc(), a constant, or NULL. */
const char *elf_find_malloc(const struct elf_file *file);

#endif
