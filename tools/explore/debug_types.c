/* SPDX-License-Identifier: MIT */
/* debug_types.c - types and globals of this program, from its own debug information */
#include "debug_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

type_id dwarf_type_of(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	Dwarf_Die type;

	if (dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), &type) == NULL)
		return 0;
	return dwarf_dieoffset(&type);
}

static enum type_kind base_kind(Dwarf_Die *die)
{
	uint64_t encoding = 0;

	dwarf_number(die, DW_AT_encoding, &encoding);
	switch (encoding) {
	case DW_ATE_boolean:
		return TYPE_BOOL;
	case DW_ATE_signed:
	case DW_ATE_signed_char:
		return TYPE_SIGNED;
	case DW_ATE_unsigned:
	case DW_ATE_unsigned_char:
		return TYPE_UNSIGNED;
	default:
		return TYPE_OTHER;
	}
}

static enum type_kind kind_of(Dwarf_Die *die)
{
	switch (dwarf_tag(die)) {
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return TYPE_STRUCT;
	case DW_TAG_array_type:
		return TYPE_ARRAY;
	case DW_TAG_pointer_type:
		return TYPE_POINTER;
	case DW_TAG_enumeration_type:
		return TYPE_ENUM;
	case DW_TAG_base_type:
		return base_kind(die);
	default:
		return TYPE_OTHER;
	}
}

/* Of the first dimension. */
static uint64_t elements_of(Dwarf_Die *array)
{
	Dwarf_Die child;
	uint64_t bound = 0;

	if (dwarf_child(array, &child) != 0)
		return 0;
	do {
		if (dwarf_tag(&child) != DW_TAG_subrange_type)
			continue;
		if (dwarf_number(&child, DW_AT_count, &bound))
			return bound;
		return dwarf_number(&child, DW_AT_upper_bound, &bound) ? bound + 1 : 0;
	} while (dwarf_siblingof(&child, &child) == 0);
	return 0;
}

static struct type find_type(type_id id)
{
	struct type type = { .name = "" };
	Dwarf_Die named, die;
	Dwarf_Word bytes;

	if (id == 0 || dwarf_offdie(dwarf_self, id, &named) == NULL)
		return type;
	if (dwarf_peel_type(&named, &die) != 0)
		return type;
	type.kind = kind_of(&die);
	type.bytes = dwarf_aggregate_size(&die, &bytes) == 0 ? bytes : 0;
	if (dwarf_diename(&die) != NULL)
		type.name = dwarf_diename(&die);
	else if (dwarf_diename(&named) != NULL)
		type.name = dwarf_diename(&named);
	if (type.kind == TYPE_POINTER || type.kind == TYPE_ARRAY)
		type.target = dwarf_type_of(&die);
	if (type.kind == TYPE_ARRAY)
		type.nr = elements_of(&die);
	return type;
}

struct kept_type {
	type_id id;
	struct type type;
};

#define KEPT_TYPES 65536u
static struct kept_type kept_types[KEPT_TYPES];

struct type debug_type(type_id id)
{
	size_t slot = (id * UINT64_C(0x9e3779b97f4a7c15)) >> 48;

	for (unsigned i = 0; i < KEPT_TYPES; i++, slot = (slot + 1) % KEPT_TYPES) {
		if (kept_types[slot].id == id && id != 0)
			return kept_types[slot].type;
		if (kept_types[slot].id == 0) {
			kept_types[slot].type = find_type(id);
			kept_types[slot].id = id;
			return kept_types[slot].type;
		}
	}
	return find_type(id);
}

static bool peeled(type_id id, Dwarf_Die *die)
{
	Dwarf_Die named;

	return id != 0 && dwarf_offdie(dwarf_self, id, &named) != NULL &&
	       dwarf_peel_type(&named, die) == 0;
}

const char *debug_enumerator(type_id id, uint64_t value)
{
	Dwarf_Die die, child;
	uint64_t each;

	if (!peeled(id, &die) || dwarf_child(&die, &child) != 0)
		return NULL;
	do {
		if (dwarf_number(&child, DW_AT_const_value, &each) && each == value)
			return dwarf_diename(&child);
	} while (dwarf_siblingof(&child, &child) == 0);
	return NULL;
}

/* Version 4 counts a field's bits from the top of its storage. */
static void set_bits(Dwarf_Die *die, struct member *member)
{
	uint64_t bits, bit, bytes;

	if (!dwarf_number(die, DW_AT_bit_size, &bits))
		return;
	member->bits = (unsigned)bits;
	if (dwarf_number(die, DW_AT_data_bit_offset, &bit)) {
		member->offset = bit / 8;
		member->bit = (unsigned)(bit % 8);
	} else if (dwarf_number(die, DW_AT_bit_offset, &bit)) {
		bytes = debug_type(member->type).bytes;
		member->bit = (unsigned)(bytes * 8 - bit - bits);
	}
}

void debug_members(type_id id, void (*tell)(const struct member *member, void *arg), void *arg)
{
	Dwarf_Die die, child;

	if (!peeled(id, &die) || dwarf_child(&die, &child) != 0)
		return;
	do {
		struct member member = { .name = dwarf_diename(&child) };

		if (dwarf_tag(&child) != DW_TAG_member)
			continue;
		member.type = dwarf_type_of(&child);
		dwarf_number(&child, DW_AT_data_member_location, &member.offset);
		set_bits(&child, &member);
		tell(&member, arg);
	} while (dwarf_siblingof(&child, &child) == 0);
}

/* ---- globals -------------------------------------------------------------------------------- */

static bool holds(Dwarf_Die *die, uint64_t address, struct variable *variable)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *ops;
	size_t nr;
	uint64_t bytes;

	if (dwarf_tag(die) != DW_TAG_variable ||
	    dwarf_getlocation(dwarf_attr_integrate(die, DW_AT_location, &attribute), &ops, &nr) !=
		    0 ||
	    nr != 1 || ops[0].atom != DW_OP_addr)
		return false;
	variable->type = dwarf_type_of(die);
	bytes = debug_type(variable->type).bytes;
	if (address < ops[0].number || address - ops[0].number >= bytes)
		return false;
	variable->name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_name, &attribute));
	variable->value = ops[0].number;
	return variable->name != NULL;
}

/* Those of functions, too. */
static bool search(Dwarf_Die *die, uint64_t address, struct variable *variable, unsigned depth)
{
	Dwarf_Die child;

	if (dwarf_child(die, &child) != 0)
		return false;
	do {
		int tag = dwarf_tag(&child);

		if (holds(&child, address, variable))
			return true;
		if (depth < 4 && (tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block) &&
		    search(&child, address, variable, depth + 1))
			return true;
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

bool debug_global(uintptr_t addr, struct variable *variable)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	uint8_t kind;

	*variable = (struct variable){ .is_place = true };
	while (dwarf_get_units(dwarf_self, unit, &unit, NULL, &kind, &die, NULL) == 0)
		if (search(&die, addr - scene_image_base(), variable, 0)) {
			variable->value += scene_image_base();
			return true;
		}
	return false;
}
