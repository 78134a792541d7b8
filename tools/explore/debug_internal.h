/* SPDX-License-Identifier: MIT */
/* debug_internal.h - what the files share that read debug information with libdw */
#ifndef QUIRE_EXPLORE_DEBUG_INTERNAL_H
#define QUIRE_EXPLORE_DEBUG_INTERNAL_H

#include <elfutils/libdw.h>

#include "debug.h"

/* This program's; NULL: none. */
extern Dwarf *dwarf_self;
extern Dwarf_CFI *dwarf_frames;

/* Where a call that returns to @pc is made, as debug information counts addresses. */
Dwarf_Addr dwarf_address(uintptr_t pc);
/* The unit that holds an address, which has to be kept by the caller; false: none. */
bool dwarf_unit_of(Dwarf_Addr address, Dwarf_Die *unit);
/* The scopes that hold an address, from the innermost out, up to the function that is no inlined one.
 * *@scopes is good until the next call. */
unsigned dwarf_scopes_of(Dwarf_Addr address, Dwarf_Die **scopes);
/* Of a scope: a function's name, inlined or not; NULL: it is no function. */
const char *dwarf_function_name(Dwarf_Die *scope);
type_id dwarf_type_of(Dwarf_Die *die);
/* A number that an attribute has; false: it has none. */
bool dwarf_number(Dwarf_Die *die, unsigned name, uint64_t *value);

#endif
