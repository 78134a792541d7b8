/* SPDX-License-Identifier: MIT */
/*
 * debug_frames.c - the variables of the functions that an event was in
 *
 * trace.c has kept the stack and the registers of each event.  From there the frames are found outwards by call
 * frame information, and in each the variables that have a location.  One that the compiler keeps in no place
 * that survives a call has no value here, unless the caller's call site says what it passed.
 */
#include "debug_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX  12
#define CALLERS_MAX 4 /* beyond the frame that the event's line is in */
#define STACK_MAX   16
#define SCOPES_MAX  32
#define RETURN	    16 /* the column of the return address */

struct frame {
	uint64_t registers[KEPT_REGISTERS];
	uint32_t known; /* bits of registers */
	uint64_t cfa;
	uintptr_t pc;
};

struct walk {
	const struct event *event;
	struct frame frames[FRAMES_MAX];
	unsigned nr;
};

extern const char __executable_start[], _end[];

bool debug_read(const struct event *event, uint64_t addr, unsigned bytes, uint64_t *value)
{
	const struct kept *kept = event != NULL ? event->kept : NULL;
	const void *from = (const void *)(uintptr_t)addr;

	*value = 0;
	if (bytes == 0 || bytes > 8)
		return false;
	if (in_stacks(from)) {
		uint64_t offset = kept != NULL ? addr - kept->registers[7] : 0;

		if (kept == NULL || offset >= kept->stack_bytes ||
		    kept->stack_bytes - offset < bytes)
			return false;
		memcpy(value, kept->stack + offset, bytes);
		return true;
	}
	if (!in_arena(from) &&
	    (addr < (uintptr_t)__executable_start ||
	     addr - (uintptr_t)__executable_start > (uint64_t)(_end - __executable_start) - bytes))
		return false;
	memcpy(value, from, bytes);
	return true;
}

/* ---- expressions ---------------------------------------------------------------------------- */

struct result {
	uint64_t value;
	bool is_place; /* in memory */
};

struct machine {
	const struct walk *walk;
	unsigned frame;
	unsigned depth; /* of entry values */
	Dwarf_Attribute *attribute;
	uint64_t stack[STACK_MAX];
	unsigned nr;
	bool is_value;
	uint64_t base; /* of the frame, for fbreg */
	bool has_base;
};

static bool evaluate(struct machine *machine, const Dwarf_Op *ops, size_t nr,
		     struct result *result);

static bool push(struct machine *machine, uint64_t value)
{
	if (machine->nr == STACK_MAX)
		return false;
	machine->stack[machine->nr++] = value;
	return true;
}

static bool push_register(struct machine *machine, uint64_t number, uint64_t offset)
{
	const struct frame *frame = &machine->walk->frames[machine->frame];

	return number < KEPT_REGISTERS && frame->known >> number & 1 &&
	       push(machine, frame->registers[number] + offset);
}

/* Is the location of a call site's parameter the register? */
static bool is_register(Dwarf_Die *parameter, unsigned number)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *ops;
	size_t nr;

	return dwarf_getlocation(dwarf_attr(parameter, DW_AT_location, &attribute), &ops, &nr) ==
		       0 &&
	       nr == 1 && ops[0].atom == DW_OP_reg0 + number;
}

/* What the call that returns to the outer frame's code passed in a register. */
static bool passed(struct machine *machine, Dwarf_Die *site, unsigned number, uint64_t *value)
{
	struct machine outer = { .walk = machine->walk, .frame = machine->frame + 1 };
	Dwarf_Attribute attribute;
	Dwarf_Die parameter;
	struct result result;
	Dwarf_Op *ops;
	size_t nr;

	outer.depth = machine->depth + 1;
	if (outer.depth > 3 || dwarf_child(site, &parameter) != 0)
		return false;
	do {
		Dwarf_Attribute *found;

		if (!is_register(&parameter, number))
			continue;
		found = dwarf_attr(&parameter, DW_AT_call_value, &attribute);
		if (found == NULL)
			found = dwarf_attr(&parameter, DW_AT_GNU_call_site_value, &attribute);
		outer.attribute = found;
		if (dwarf_getlocation(found, &ops, &nr) != 0 || !evaluate(&outer, ops, nr, &result))
			return false;
		*value = result.value;
		return true;
	} while (dwarf_siblingof(&parameter, &parameter) == 0);
	return false;
}

static bool returns_to(Dwarf_Die *site, uint64_t address)
{
	uint64_t at;
	Dwarf_Addr pc;
	Dwarf_Attribute attribute;

	if (dwarf_formaddr(dwarf_attr(site, DW_AT_call_return_pc, &attribute), &pc) == 0)
		at = pc;
	else if (dwarf_lowpc(site, &pc) == 0)
		at = pc;
	else
		return false;
	return at == address;
}

/* The call site of the call that returns to @pc. */
static bool find_site(uintptr_t pc, Dwarf_Die *site)
{
	Dwarf_Die *scopes;
	unsigned nr = dwarf_scopes_of(dwarf_address(pc), &scopes);

	for (unsigned i = 0; i < nr; i++) {
		if (dwarf_child(&scopes[i], site) != 0)
			continue;
		do {
			int tag = dwarf_tag(site);

			if ((tag == DW_TAG_call_site || tag == DW_TAG_GNU_call_site) &&
			    returns_to(site, dwarf_address(pc) + 1))
				return true;
		} while (dwarf_siblingof(site, site) == 0);
	}
	return false;
}

static bool entry_value(struct machine *machine, unsigned number, uint64_t *value)
{
	Dwarf_Die site;

	return machine->frame + 1 < machine->walk->nr &&
	       find_site(machine->walk->frames[machine->frame + 1].pc, &site) &&
	       passed(machine, &site, number, value);
}

static bool push_entry(struct machine *machine, const Dwarf_Op *op)
{
	Dwarf_Attribute inner;
	Dwarf_Op *ops;
	uint64_t value;
	size_t nr;

	return machine->attribute != NULL &&
	       dwarf_getlocation_attr(machine->attribute, op, &inner) == 0 &&
	       dwarf_getlocation(&inner, &ops, &nr) == 0 && nr == 1 && ops[0].atom >= DW_OP_reg0 &&
	       ops[0].atom <= DW_OP_reg31 &&
	       entry_value(machine, ops[0].atom - DW_OP_reg0, &value) && push(machine, value);
}

static bool binary(struct machine *machine, unsigned atom)
{
	uint64_t right, *left;

	if (machine->nr < 2)
		return false;
	right = machine->stack[--machine->nr];
	left = &machine->stack[machine->nr - 1];
	switch (atom) {
	case DW_OP_plus:
		*left += right;
		return true;
	case DW_OP_minus:
		*left -= right;
		return true;
	case DW_OP_mul:
		*left *= right;
		return true;
	case DW_OP_and:
		*left &= right;
		return true;
	case DW_OP_or:
		*left |= right;
		return true;
	case DW_OP_shl:
		*left = right < 64 ? *left << right : 0;
		return true;
	case DW_OP_shr:
		*left = right < 64 ? *left >> right : 0;
		return true;
	default:
		return false;
	}
}

static bool load(struct machine *machine, unsigned bytes)
{
	uint64_t *top = &machine->stack[machine->nr - 1];

	return machine->nr != 0 && debug_read(machine->walk->event, *top, bytes, top);
}

static bool execute_named(struct machine *machine, const Dwarf_Op *op)
{
	switch (op->atom) {
	case DW_OP_addr:
		return push(machine, op->number + scene_image_base());
	case DW_OP_const1u:
	case DW_OP_const2u:
	case DW_OP_const4u:
	case DW_OP_const8u:
	case DW_OP_constu:
	case DW_OP_const1s:
	case DW_OP_const2s:
	case DW_OP_const4s:
	case DW_OP_const8s:
	case DW_OP_consts:
		return push(machine, op->number);
	case DW_OP_fbreg:
		return machine->has_base && push(machine, machine->base + op->number);
	case DW_OP_bregx:
		return push_register(machine, op->number, op->number2);
	case DW_OP_regx:
		machine->is_value = true;
		return push_register(machine, op->number, 0);
	case DW_OP_call_frame_cfa:
		return push(machine, machine->walk->frames[machine->frame].cfa);
	case DW_OP_plus_uconst:
		if (machine->nr == 0)
			return false;
		machine->stack[machine->nr - 1] += op->number;
		return true;
	case DW_OP_deref:
		return load(machine, 8);
	case DW_OP_deref_size:
		return load(machine, (unsigned)op->number);
	case DW_OP_entry_value:
	case DW_OP_GNU_entry_value:
		return push_entry(machine, op);
	case DW_OP_stack_value:
		machine->is_value = true;
		return true;
	default:
		return binary(machine, op->atom);
	}
}

static bool execute(struct machine *machine, const Dwarf_Op *op)
{
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		return push(machine, op->atom - DW_OP_lit0);
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		return push_register(machine, op->atom - DW_OP_breg0, op->number);
	if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31) {
		machine->is_value = true;
		return push_register(machine, op->atom - DW_OP_reg0, 0);
	}
	return execute_named(machine, op);
}

static bool evaluate(struct machine *machine, const Dwarf_Op *ops, size_t nr, struct result *result)
{
	for (size_t i = 0; i < nr; i++)
		if (!execute(machine, &ops[i]))
			return false;
	if (machine->nr == 0)
		return false;
	result->value = machine->stack[machine->nr - 1];
	result->is_place = !machine->is_value;
	return true;
}

/* ---- frames --------------------------------------------------------------------------------- */

static bool run_frame_ops(struct walk *walk, unsigned frame, const Dwarf_Op *ops, size_t nr,
			  struct result *result)
{
	struct machine machine = { .walk = walk, .frame = frame };

	return evaluate(&machine, ops, nr, result);
}

/* What a register of the caller holds, by the rule of @rules. */
static void restore(struct walk *walk, unsigned frame, Dwarf_Frame *rules, int number,
		    struct frame *outer)
{
	const struct frame *inner = &walk->frames[frame];
	Dwarf_Op memory[3], *ops;
	struct result result;
	uint64_t value;
	size_t nr;

	if (dwarf_frame_register(rules, number, memory, &ops, &nr) != 0)
		return;
	if (nr == 0) {
		if (ops != NULL || number == RETURN || !(inner->known >> number & 1))
			return; /* not to be known */
		value = inner->registers[number];
	} else {
		if (!run_frame_ops(walk, frame, ops, nr, &result))
			return;
		value = result.value;
		if (result.is_place && !debug_read(walk->event, value, 8, &value))
			return;
	}
	outer->registers[number] = value;
	outer->known |= 1u << number;
}

static bool go_out(struct walk *walk, unsigned frame, struct frame *outer)
{
	static const int preserved[] = { 3, 6, 12, 13, 14, 15, RETURN };
	struct frame *inner = &walk->frames[frame];
	Dwarf_Addr address = inner->pc - scene_image_base() - (frame != 0);
	Dwarf_Frame *rules;
	struct result result;
	Dwarf_Op *ops;
	size_t nr;

	*outer = (struct frame){ .known = 0 };
	if (dwarf_cfi_addrframe(dwarf_frames, address, &rules) != 0)
		return false;
	if (dwarf_frame_cfa(rules, &ops, &nr) != 0 ||
	    !run_frame_ops(walk, frame, ops, nr, &result)) {
		free(rules);
		return false;
	}
	inner->cfa = result.value;
	for (unsigned i = 0; i < sizeof(preserved) / sizeof(preserved[0]); i++)
		restore(walk, frame, rules, preserved[i], outer);
	free(rules);
	outer->registers[7] = inner->cfa;
	outer->known |= 1u << 7;
	outer->pc = outer->registers[RETURN];
	return (outer->known >> RETURN & 1) && outer->pc != 0;
}

/* The index of the frame that the event's line is in; -1: not found. */
static int walk_out(struct walk *walk, const struct event *event)
{
	int line = -1;

	*walk = (struct walk){ .event = event, .nr = 1 };
	memcpy(walk->frames[0].registers, event->kept->registers,
	       sizeof(walk->frames[0].registers));
	walk->frames[0].known = 1u << 3 | 1u << 6 | 1u << 7 | 15u << 12;
	walk->frames[0].pc = event->kept->registers[RETURN];
	while (walk->nr < FRAMES_MAX && go_out(walk, walk->nr - 1, &walk->frames[walk->nr])) {
		if (walk->frames[walk->nr].pc == event->pc && line < 0)
			line = (int)walk->nr;
		walk->nr++;
		if (line >= 0 && walk->nr > (unsigned)line + CALLERS_MAX)
			break;
	}
	/* The last one's CFA is not known. */
	if (walk->nr > 1)
		walk->nr--;
	return line;
}

/* ---- variables ------------------------------------------------------------------------------ */

struct list {
	struct variable *variables;
	unsigned nr, max;
};

static bool find_base(struct machine *machine, Dwarf_Die *function, Dwarf_Addr address)
{
	Dwarf_Attribute attribute;
	struct machine inner = { .walk = machine->walk, .frame = machine->frame };
	struct result result;
	Dwarf_Op *ops;
	size_t nr;

	if (dwarf_getlocation_addr(dwarf_attr_integrate(function, DW_AT_frame_base, &attribute),
				   address, &ops, &nr, 1) != 1 ||
	    !evaluate(&inner, ops, nr, &result))
		return false;
	machine->base = result.value;
	machine->has_base = true;
	return true;
}

static bool value_of(const struct machine *frame, Dwarf_Die *die, Dwarf_Addr address,
		     struct variable *variable)
{
	struct machine machine = *frame;
	Dwarf_Attribute attribute;
	struct result result;
	struct type type;
	Dwarf_Op *ops;
	size_t nr;

	variable->type = dwarf_type_of(die);
	type = debug_type(variable->type);
	machine.attribute = dwarf_attr_integrate(die, DW_AT_location, &attribute);
	if (machine.attribute == NULL || type.bytes == 0 ||
	    dwarf_getlocation_addr(machine.attribute, address, &ops, &nr, 1) != 1 ||
	    !evaluate(&machine, ops, nr, &result))
		return false;
	variable->value = result.value;
	variable->is_place = result.is_place;
	if (result.is_place && type.kind != TYPE_STRUCT && type.kind != TYPE_ARRAY) {
		variable->is_place = false;
		return debug_read(machine.walk->event, result.value, (unsigned)type.bytes,
				  &variable->value);
	}
	return type.kind == TYPE_STRUCT || type.kind == TYPE_ARRAY ? result.is_place : true;
}

static void add_scope(struct list *list, const struct machine *machine, Dwarf_Die *scope,
		      Dwarf_Addr address, struct variable like)
{
	Dwarf_Attribute attribute;
	Dwarf_Die child;

	if (dwarf_child(scope, &child) != 0)
		return;
	do {
		int tag = dwarf_tag(&child);
		struct variable variable = like;

		if (list->nr == list->max ||
		    (tag != DW_TAG_variable && tag != DW_TAG_formal_parameter))
			continue;
		variable.name =
			dwarf_formstring(dwarf_attr_integrate(&child, DW_AT_name, &attribute));
		if (variable.name != NULL && value_of(machine, &child, address, &variable))
			list->variables[list->nr++] = variable;
	} while (dwarf_siblingof(&child, &child) == 0);
}

static void add_frame(struct list *list, const struct walk *walk, unsigned index,
		      struct variable like)
{
	struct machine machine = { .walk = walk, .frame = index };
	Dwarf_Addr address = dwarf_address(walk->frames[index].pc);
	Dwarf_Die *found, scopes[SCOPES_MAX];
	unsigned nr = dwarf_scopes_of(address, &found);

	if (nr == 0 || nr > SCOPES_MAX)
		return;
	memcpy(scopes, found, nr * sizeof(scopes[0])); /* values ask for those of other places */
	find_base(&machine, &scopes[nr - 1], address);
	for (unsigned i = 0; i < nr; i++)
		add_scope(list, &machine, &scopes[i], address, like);
}

unsigned debug_variables(const struct event *event, struct variable *variables, unsigned max)
{
	struct list list = { .variables = variables, .max = max };
	struct walk walk;
	int line;

	if (event->kept == NULL || dwarf_frames == NULL)
		return 0;
	line = walk_out(&walk, event);
	for (unsigned i = line < 0 ? walk.nr : (unsigned)line; i < walk.nr; i++)
		add_frame(&list, &walk, i, (struct variable){ .is_own = (int)i == line });
	for (int i = 1; i < line; i++)
		add_frame(&list, &walk, (unsigned)i, (struct variable){ .is_inside = true });
	return list.nr;
}
