/* SPDX-License-Identifier: MIT */
/*
 * elf.h - what an executable says about how it will run
 *
 * The file is anybody's: no offset or count in it is believed before it was compared with the file's length,
 * and every walk through it has a bound.
 */
#ifndef QUIRE_TOOL_RUN_ELF_H
#define QUIRE_TOOL_RUN_ELF_H

#include <limits.h>
#include <stdint.h>

enum elf_kind {
	ELF_NOT,     /* something else */
	ELF_BROKEN,  /* begins like one, and contradicts itself */
	ELF_FOREIGN, /* of another word length or byte order than this program */
	ELF_STATIC,  /* has no loader */
	ELF_DYNAMIC,
};

struct elf_facts {
	enum elf_kind kind;
	const char *broken;    /* ELF_BROKEN: what is wrong, a constant */
	uint16_t machine;      /* e_machine, of one that is not foreign */
	char loader[PATH_MAX]; /* ELF_DYNAMIC: its path */
	const char
		*malloc; /* ELF_DYNAMIC: the function that serves it in place of libc's, or NULL */
};

/* Reads the open file @fd.  0 or -errno; what cannot be read counts as missing. */
int elf_read(int fd, struct elf_facts *facts);

#endif
