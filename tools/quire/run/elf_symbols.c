/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.c - does a program bring a malloc of its own?
 *
 * A malloc among its dynamic symbols comes before that of any preloaded library.  It is found by the hash
 * table that the loader uses.  jemalloc and tcmalloc under names of their own are called directly and have
 * no dynamic symbol; the symbol table of a program that is not stripped has them.
 */
#include "run/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Symbols of one hash bucket, or in the table: a browser with all its symbols has a few million. */
#define CHAIN_MAX	(1u << 16)
#define SYMBOLS_MAX	((uint64_t)1 << 24)
/* A longer table of names is not looked through. */
#define NAMES_BYTES_MAX ((uint64_t)256 << 20)

#define NAME "malloc"

bool elf_get(const struct elf_file *file, uint64_t offset, void *buffer, size_t bytes)
{
	size_t done = 0;

	if (bytes > file->bytes || offset > file->bytes - bytes)
		return false;
	while (done < bytes) {
		ssize_t got = pread(file->fd, (char *)buffer + done, bytes - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) /* shorter than it was a moment ago, or cannot be read */
			return false;
		done += (size_t)got;
	}
	return true;
}

/* ---- dynamic symbols ------------------------------------------------------------------------- */

struct dynamic {
	const struct elf_file *file;
	uint64_t symbols, strings, hash; /* offsets in the file */
};

static bool is_defined(const ElfW(Sym) * symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static bool is_malloc(const struct dynamic *dynamic, uint64_t idx)
{
	ElfW(Sym) symbol;
	char name[sizeof(NAME)];

	return elf_get(dynamic->file, dynamic->symbols + idx * sizeof(symbol), &symbol,
		       sizeof(symbol)) &&
	       is_defined(&symbol) &&
	       elf_get(dynamic->file, dynamic->strings + symbol.st_name, name, sizeof(name)) &&
	       memcmp(name, NAME, sizeof(name)) == 0;
}

static bool word_at(const struct dynamic *dynamic, uint64_t idx, uint32_t *word)
{
	return elf_get(dynamic->file, dynamic->hash + idx * sizeof(*word), word, sizeof(*word));
}

/* The hash of GNU's table: "" -> 5381, "a" -> 177670, "malloc" -> 221883709. */
static uint32_t gnu_hash(const char *name)
{
	uint32_t hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	return hash;
}

/* The table: buckets, first symbol, words of the filter, shift; filter; buckets; a word for each symbol, whose
 * lowest bit ends a chain. */
static bool gnu_table_has(const struct dynamic *dynamic)
{
	uint32_t buckets_nr, first, filter_words, hash = gnu_hash(NAME), idx, found;
	uint64_t buckets;

	if (!word_at(dynamic, 0, &buckets_nr) || !word_at(dynamic, 1, &first) ||
	    !word_at(dynamic, 2, &filter_words) || buckets_nr == 0)
		return false;
	buckets = 4 + (uint64_t)filter_words * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
	if (!word_at(dynamic, buckets + hash % buckets_nr, &idx) || idx < first)
		return false;
	for (unsigned i = 0; i < CHAIN_MAX; i++, idx++) {
		if (!word_at(dynamic, buckets + buckets_nr + (idx - first), &found))
			return false;
		if ((found | 1) == (hash | 1) && is_malloc(dynamic, idx))
			return true;
		if ((found & 1) != 0)
			return false;
	}
	return false;
}

/* The hash of the older table, by the ABI's definition. */
static uint32_t sysv_hash(const char *name)
{
	uint32_t hash = 0;

	for (; *name != '\0'; name++) {
		uint32_t high;

		hash = (hash << 4) + (unsigned char)*name;
		high = hash & 0xf0000000u;
		hash ^= high >> 24;
		hash &= ~high;
	}
	return hash;
}

/* The table: buckets, chains; a symbol for each bucket; the next symbol for each symbol. */
static bool sysv_table_has(const struct dynamic *dynamic)
{
	uint32_t buckets_nr, chains_nr, idx;

	if (!word_at(dynamic, 0, &buckets_nr) || !word_at(dynamic, 1, &chains_nr) ||
	    buckets_nr == 0 || !word_at(dynamic, 2 + sysv_hash(NAME) % buckets_nr, &idx))
		return false;
	for (unsigned i = 0; i < CHAIN_MAX && idx != STN_UNDEF && idx < chains_nr; i++) {
		if (is_malloc(dynamic, idx))
			return true;
		if (!word_at(dynamic, 2 + (uint64_t)buckets_nr + idx, &idx))
			return false;
	}
	return false;
}

static bool exports_malloc(const struct elf_file *file)
{
	struct dynamic dynamic = { .file = file };

	if (!elf_offset(file, file->symbols, &dynamic.symbols) ||
	    !elf_offset(file, file->strings, &dynamic.strings))
		return false;
	if (file->gnu_hash != 0)
		return elf_offset(file, file->gnu_hash, &dynamic.hash) && gnu_table_has(&dynamic);
	return file->hash != 0 && elf_offset(file, file->hash, &dynamic.hash) &&
	       sysv_table_has(&dynamic);
}

/* ---- the symbol table ------------------------------------------------------------------------ */

static const char *const own_mallocs[] = { "je_malloc", "_rjem_malloc", "tc_malloc",
					   "TCMallocInternalMalloc" };

static const char *match(const char *name)
{
	for (size_t i = 0; i < sizeof(own_mallocs) / sizeof(own_mallocs[0]); i++)
		if (strcmp(name, own_mallocs[i]) == 0)
			return own_mallocs[i];
	return NULL;
}

static bool read_section(const struct elf_file *file, uint64_t idx, ElfW(Shdr) * section)
{
	return idx < file->header.e_shnum &&
	       elf_get(file, file->header.e_shoff + idx * sizeof(*section), section,
		       sizeof(*section));
}

/* @names ends with a NUL that is not the file's. */
static const char *look_through(const struct elf_file *file, const ElfW(Shdr) * table,
				const char *names, uint64_t names_bytes)
{
	uint64_t nr = table->sh_size / sizeof(ElfW(Sym));
	ElfW(Sym) some[256];

	for (uint64_t i = 0; i < nr && i < SYMBOLS_MAX; i += 256) {
		size_t here = nr - i < 256 ? (size_t)(nr - i) : 256;

		if (!elf_get(file, table->sh_offset + i * sizeof(some[0]), some,
			     here * sizeof(some[0])))
			return NULL;
		for (size_t j = 0; j < here; j++) {
			const char *found = is_defined(&some[j]) && some[j].st_name < names_bytes
						    ? match(names + some[j].st_name)
						    : NULL;

			if (found != NULL)
				return found;
		}
	}
	return NULL;
}

static const char *look_in_table(const struct elf_file *file, const ElfW(Shdr) * table)
{
	ElfW(Shdr) strings;
	const char *found = NULL;
	char *names;

	if (!read_section(file, table->sh_link, &strings) || strings.sh_size > NAMES_BYTES_MAX ||
	    strings.sh_size > file->bytes)
		return NULL;
	names = malloc(strings.sh_size + 1);
	if (names == NULL)
		return NULL;
	names[strings.sh_size] = '\0';
	if (elf_get(file, strings.sh_offset, names, strings.sh_size))
		found = look_through(file, table, names, strings.sh_size);
	free(names);
	return found;
}

const char *elf_find_malloc(const struct elf_file *file)
{
	if (exports_malloc(file))
		return NAME;
	if (file->header.e_shentsize != sizeof(ElfW(Shdr)))
		return NULL;
	for (uint64_t i = 0; i < file->header.e_shnum; i++) {
		ElfW(Shdr) section;

		if (!read_section(file, i, &section))
			return NULL;
		if (section.sh_type == SHT_SYMTAB)
			return look_in_table(file, &section);
	}
	return NULL;
}
