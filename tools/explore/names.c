/* SPDX-License-Identifier: MIT */
/* names.c - names.h says what this is for */
#include "names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS_MAX   8192u
#define SLOTS	      32768u /* of the table by address: a power of two */
#define VARIABLES_MAX 96u
#define SEEN_NEAR     64u
#define SEEN_MAX      65536u /* pairs of a line and a place: a power of two */
#define DEPTH_MAX     6u
#define LONG_NAME     30u
#define WORDS_NEAR    64u
#define DOUBTFUL      20u
/* The line names the field.  Without that, a pointer may be one that the compiler says is where something else is. */
#define WEIGHT_LINE   16u

struct object {
	uintptr_t start;
	uint64_t bytes;
	type_id type;
	const char *type_name;
	unsigned weight;   /* how often it fitted an access */
	unsigned mentions; /* how many variables had its address */
	bool is_own;	   /* one of them was in the function that made the access */
	unsigned
		number; /* among those of its type, in the order in which they were named; 0: not yet */
};

static struct object objects[OBJECTS_MAX];
static unsigned objects_nr;
static uint16_t slots[SLOTS]; /* 1 + index */

/* ---- fields --------------------------------------------------------------------------------- */

struct descent {
	uint64_t offset; /* in the type at hand */
	unsigned bytes;
	char *path;
	size_t room;
	struct named_value *place;
	struct member found; /* the member at the offset */
	bool has_found;
	uint64_t value_differs; /* bits that an access changed: which bit field is meant */
};

static void append(struct descent *descent, const char *text)
{
	size_t used = strlen(descent->path);

	if (used < descent->room)
		snprintf(descent->path + used, descent->room - used, "%s", text);
}

static void see_member(const struct member *member, void *arg)
{
	struct descent *descent = arg;
	uint64_t bytes = debug_type(member->type).bytes;

	if (member->bits != 0) {
		uint64_t mask = ((UINT64_C(1) << member->bits) - 1) << member->bit;

		if (member->offset != descent->offset ||
		    (descent->value_differs != 0 && (mask & descent->value_differs) == 0) ||
		    descent->has_found)
			return;
	} else if (descent->offset < member->offset ||
		   descent->offset + descent->bytes > member->offset + bytes) {
		return;
	}
	/* Of a union the first that fits exactly, else the first that holds it. */
	if (descent->has_found &&
	    (bytes != descent->bytes || debug_type(descent->found.type).bytes == descent->bytes))
		return;
	descent->found = *member;
	descent->has_found = true;
}

static bool into_struct(struct descent *descent, type_id *type)
{
	descent->has_found = false;
	debug_members(*type, see_member, descent);
	if (!descent->has_found)
		return false;
	if (descent->found.name != NULL) {
		append(descent, ".");
		append(descent, descent->found.name);
	}
	descent->offset -= descent->found.offset;
	descent->place->bit = descent->found.bit;
	descent->place->bits = descent->found.bits;
	*type = descent->found.type;
	return true;
}

static bool into_array(struct descent *descent, type_id *type)
{
	struct type array = debug_type(*type), element = debug_type(array.target);
	char index[24];

	if (element.bytes == 0 || descent->offset % element.bytes + descent->bytes > element.bytes)
		return false;
	snprintf(index, sizeof(index), "[%llu]",
		 (unsigned long long)(descent->offset / element.bytes));
	append(descent, index);
	descent->offset %= element.bytes;
	*type = array.target;
	return true;
}

/* Appends the fields that lead to @bytes bytes at an offset; says in @place what is there. */
static void descend(type_id type, struct descent *descent)
{
	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		struct type at = debug_type(type);

		if (at.kind == TYPE_STRUCT ? !into_struct(descent, &type)
					   : at.kind != TYPE_ARRAY || !into_array(descent, &type))
			break;
	}
	descent->place->type = type;
	descent->place->offset = descent->offset;
	descent->place->is_whole = descent->offset == 0 &&
				   debug_type(type).bytes == descent->bytes &&
				   debug_type(type).kind > TYPE_ARRAY;
}

/* ---- objects -------------------------------------------------------------------------------- */

static struct object *object_at(uintptr_t start, const char *type_name, bool make)
{
	size_t slot = (start * UINT64_C(0x9e3779b97f4a7c15)) >> 49;

	for (unsigned i = 0; i < SLOTS; i++, slot = (slot + 1) % SLOTS) {
		struct object *object = &objects[slots[slot] - 1];

		if (slots[slot] == 0) {
			if (!make || objects_nr == OBJECTS_MAX)
				return NULL;
			objects[objects_nr] =
				(struct object){ .start = start, .type_name = type_name };
			slots[slot] = (uint16_t)++objects_nr;
			return &objects[objects_nr - 1];
		}
		if (object->start == start && strcmp(object->type_name, type_name) == 0)
			return object;
	}
	return NULL;
}

static struct object *note_object(uint64_t start, type_id type)
{
	struct type t = debug_type(type);
	struct object *object;

	if (t.kind != TYPE_STRUCT || t.bytes == 0 || t.name[0] == '\0' ||
	    !in_arena((void *)(uintptr_t)start) || in_stacks((void *)(uintptr_t)start))
		return NULL;
	object = object_at(start, t.name, true);
	if (object != NULL && object->type == 0) {
		object->type = type;
		object->bytes = t.bytes;
	}
	return object;
}

static bool holds(const struct object *object, const void *addr, uint64_t bytes)
{
	return (uintptr_t)addr - object->start < object->bytes &&
	       (uintptr_t)addr - object->start + bytes <= object->bytes;
}

bool names_has_word(const char *line, const char *word)
{
	size_t bytes = strlen(word);

	for (const char *at = line; bytes != 0 && (at = strstr(at, word)) != NULL; at++) {
		bool before = at != line && (isalnum((unsigned char)at[-1]) || at[-1] == '_');

		if (!before && !isalnum((unsigned char)at[bytes]) && at[bytes] != '_')
			return true;
	}
	return false;
}

/* An access that fits a field of the object makes it likely that there is such an object. */
static void weigh(struct object *object, const struct event *event, bool is_own, const char *line)
{
	char path[NAME_MAX_BYTES] = "";
	struct named_value place = { .type = 0 };
	struct descent descent = { .offset = (uintptr_t)event->addr - object->start,
				   .bytes = event->bytes,
				   .path = path,
				   .room = sizeof(path),
				   .place = &place };
	const char *leaf;

	if (event->addr == NULL || event->bytes == 0 || !holds(object, event->addr, event->bytes))
		return;
	descend(object->type, &descent);
	if (!place.is_whole && !(event->kind >= POINT_LOCK && event->kind <= POINT_UNLOCK))
		return;
	leaf = strrchr(path, '.');
	object->weight += is_own ? 4 : 1;
	if (leaf != NULL && names_has_word(line, leaf + 1))
		object->weight += WEIGHT_LINE;
}

struct pointers {
	const struct event *event;
	uint64_t start;
};

static void follow(const struct member *member, void *arg)
{
	const struct pointers *pointers = arg;
	struct type type = debug_type(member->type);
	uint64_t value;

	if (type.kind == TYPE_POINTER && debug_type(type.target).kind == TYPE_STRUCT &&
	    debug_read(pointers->event, pointers->start + member->offset, 8, &value) && value != 0)
		note_object(value, type.target);
}

static void learn_event(const struct event *event)
{
	static struct variable variables[VARIABLES_MAX];
	struct place places[PLACES_MAX];
	unsigned nr = debug_variables(event, variables, VARIABLES_MAX);
	unsigned places_nr = debug_places(event->pc, places);

	for (unsigned i = 0; i < nr; i++) {
		const struct variable *v = &variables[i];
		struct type type = debug_type(v->type);
		type_id target = v->is_place ? v->type : type.target;
		struct object *object;

		if (!v->is_place && type.kind != TYPE_POINTER)
			continue;
		object = note_object(v->value, target);
		if (object != NULL) {
			object->mentions++;
			object->is_own |= v->is_own || v->is_inside;
		}
		/* The machine keeps what it works on behind one more pointer. */
		if (v->is_inside && debug_type(target).kind == TYPE_STRUCT) {
			struct pointers pointers = { .event = event, .start = v->value };

			debug_members(target, follow, &pointers);
		}
		for (unsigned k = 0; object != NULL && k < places_nr; k++)
			weigh(object, event, v->is_own, places[k].text);
	}
	/* What was found behind the machine's pointers. */
	if (event->kind == POINT_SEQ_READ || event->kind == POINT_SEQ_COMMIT)
		for (unsigned i = 0; i < objects_nr; i++)
			if (objects[i].weight != 0 || objects[i].bytes <= 64)
				weigh(&objects[i], event, false, "");
}

/*
 * What a compiler says of a caller's variables after a call is wrong now and then.  An address that only callers have, and
 * seldom, is no object if the functions themselves know another of its type.
 */
static void forget_doubtful(void)
{
	for (unsigned i = 0; i < objects_nr; i++)
		for (unsigned k = 0; k < objects_nr && !objects[i].is_own; k++)
			if (objects[k].is_own &&
			    objects[k].mentions >= DOUBTFUL * objects[i].mentions &&
			    strcmp(objects[k].type_name, objects[i].type_name) == 0) {
				objects[i].bytes = 0; /* holds nothing */
				break;
			}
}

/* Objects that known ones point to. */
static void spread(void)
{
	for (unsigned i = 0; i < objects_nr; i++) {
		struct pointers pointers = { .event = NULL, .start = objects[i].start };

		if (objects[i].bytes == 0)
			continue;
		debug_members(objects[i].type, follow, &pointers);
	}
}

/* An access of one line to one place says the same every time. */
static bool is_first(const struct event *event)
{
	static struct {
		uintptr_t pc;
		const void *addr;
	} seen[SEEN_MAX];
	size_t slot = ((event->pc ^ (uintptr_t)event->addr) * UINT64_C(0x9e3779b97f4a7c15)) >> 48;

	if (event == trace_events)
		memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < SEEN_NEAR; i++, slot = (slot + 1) % SEEN_MAX) {
		if (seen[slot].pc == event->pc && seen[slot].addr == event->addr)
			return false;
		if (seen[slot].pc != 0)
			continue;
		seen[slot].pc = event->pc;
		seen[slot].addr = event->addr;
		return true;
	}
	return true;
}

void names_learn(void)
{
	memset(slots, 0, sizeof(slots));
	objects_nr = 0;
	for (unsigned i = 0; i < trace_nr; i++)
		if (is_first(&trace_events[i]) && trace_events[i].kind != POINT_NOTE)
			learn_event(&trace_events[i]);
	forget_doubtful();
	spread();
}

void names_renumber(void)
{
	for (unsigned i = 0; i < objects_nr; i++)
		objects[i].number = 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Reservations have names, too; those say nothing of what is at an offset. */
static const char *scenario_name(const void *addr, size_t bytes, const void **start, size_t *whole)
{
	const char *name = trace_name_of(addr, bytes, start, whole);

	return name != NULL && strncmp(name, "quire", 5) != 0 ? name : NULL;
}

/* Is there another object of its type that was used? */
static bool is_one_of_several(const struct object *object)
{
	for (unsigned i = 0; i < objects_nr; i++)
		if (objects[i].weight != 0 && objects[i].start != object->start &&
		    strcmp(objects[i].type_name, object->type_name) == 0)
			return true;
	return false;
}

static void set_number(struct object *object)
{
	unsigned last = 0;

	for (unsigned i = 0; object->number == 0 && i < objects_nr; i++)
		if (objects[i].number > last &&
		    strcmp(objects[i].type_name, object->type_name) == 0)
			last = objects[i].number;
	if (object->number == 0)
		object->number = last + 1;
}

static void object_name(const struct object *object, char *text, size_t room)
{
	const void *at = (const void *)object->start, *start;
	size_t whole;
	const char *name = scenario_name(at, object->bytes, &start, &whole);
	size_t offset = name != NULL ? object->start - (uintptr_t)start : 0;

	if (name != NULL && offset == 0 && whole < 2 * object->bytes)
		snprintf(text, room, "%s", name);
	else if (name != NULL && offset % object->bytes == 0 && whole % object->bytes == 0)
		snprintf(text, room, "%s[%zu]", name, offset / object->bytes);
	else if (is_one_of_several(object))
		snprintf(text, room, "%s#%u", object->type_name, object->number);
	else
		snprintf(text, room, "%s", object->type_name);
}

/* The element of a scenario's array that holds an address, if another one of its elements is known. */
static bool element_of(const void *addr, unsigned bytes, struct object *element)
{
	const void *start;
	size_t whole;
	const struct object *best = NULL;

	if (scenario_name(addr, bytes, &start, &whole) == NULL)
		return false;
	for (unsigned i = 0; i < objects_nr; i++) {
		const struct object *o = &objects[i];
		uint64_t offset = o->start - (uintptr_t)start;

		if (o->bytes != 0 && offset < whole && offset % o->bytes == 0 &&
		    whole % o->bytes == 0 && o->weight != 0 &&
		    (best == NULL || o->weight > best->weight))
			best = o;
	}
	if (best == NULL)
		return false;
	*element = *best;
	element->start =
		(uintptr_t)start + ((uintptr_t)addr - (uintptr_t)start) / best->bytes * best->bytes;
	return true;
}

static void name_in(const struct object *object, const void *addr, unsigned bytes, uint64_t differs,
		    struct named_value *place)
{
	struct descent descent = { .offset = (uintptr_t)addr - object->start,
				   .bytes = bytes,
				   .path = place->name,
				   .room = sizeof(place->name),
				   .place = place,
				   .value_differs = differs };

	*place = (struct named_value){ .type = 0 };
	object_name(object, place->name, sizeof(place->name));
	descend(object->type, &descent);
}

/* Of two names of one place. */
static bool is_better(const struct named_value *a, const struct object *a_of,
		      const struct named_value *b, const struct object *b_of)
{
	bool a_long = strlen(a->name) > LONG_NAME, b_long = strlen(b->name) > LONG_NAME;

	if ((a_of->weight >= WEIGHT_LINE) != (b_of->weight >= WEIGHT_LINE))
		return a_of->weight >= WEIGHT_LINE;
	if (a->is_whole != b->is_whole)
		return a->is_whole;
	if ((a_of->weight != 0) != (b_of->weight != 0))
		return a_of->weight != 0;
	if (a_long != b_long)
		return b_long;
	return a_long ? strlen(a->name) < strlen(b->name) : a_of->bytes > b_of->bytes;
}

static struct object *best_name(const void *addr, unsigned bytes, uint64_t differs,
				struct named_value *place)
{
	static struct object element;
	struct object *best = NULL;
	struct named_value each;

	if (element_of(addr, bytes, &element)) {
		best = &element;
		name_in(best, addr, bytes, differs, place);
	}
	for (unsigned i = 0; i < objects_nr; i++) {
		struct object *o = &objects[i];

		if (!holds(o, addr, bytes) || (o->weight == 0 && best != NULL))
			continue;
		name_in(o, addr, bytes, differs, &each);
		if (best != NULL && !is_better(&each, o, place, best))
			continue;
		best = o;
		*place = each;
	}
	if (best != NULL && best->number == 0) {
		set_number(best);
		name_in(best, addr, bytes, differs, place);
	}
	return best;
}

/* "words[3] @14c58": an element of an array that a local points to, with its place in what is reserved around it:
 * another function may have another pointer to it. */
static bool name_word(const struct variable *v, type_id of, const void *addr, unsigned bytes,
		      struct named_value *place)
{
	struct type type = debug_type(of);
	uint64_t offset = (uintptr_t)addr - v->value;
	char around[NAME_MAX_BYTES];
	const char *plus;

	if (type.kind <= TYPE_ARRAY || type.bytes != bytes || offset % bytes != 0 ||
	    offset / bytes >= WORDS_NEAR || in_stacks(addr))
		return false;
	plus = strchr(memory_describe(addr, around, sizeof(around)), '+');
	snprintf(place->name, sizeof(place->name), "%s[%llu]%s%s", v->name,
		 (unsigned long long)(offset / bytes), plus != NULL ? " @" : "",
		 plus != NULL ? plus + 3 : "");
	place->type = of;
	place->is_whole = true;
	return true;
}

/* A local, or what one points to on a stack. */
static bool name_local(const struct event *event, const void *addr, unsigned bytes,
		       struct named_value *place)
{
	static struct variable variables[VARIABLES_MAX];
	unsigned nr = debug_variables(event, variables, VARIABLES_MAX);

	for (unsigned i = 0; i < nr; i++) {
		const struct variable *v = &variables[i];
		struct type type = debug_type(v->type);
		type_id of = v->is_place ? v->type : type.target;
		struct descent descent = { .offset = (uintptr_t)addr - v->value,
					   .bytes = bytes,
					   .path = place->name,
					   .room = sizeof(place->name),
					   .place = place };

		if ((!v->is_place && type.kind != TYPE_POINTER) || v->is_inside)
			continue;
		if (!v->is_place && name_word(v, of, addr, bytes, place))
			return true;
		if ((uintptr_t)addr - v->value >= debug_type(of).bytes)
			continue;
		snprintf(place->name, sizeof(place->name), "%s%s",
			 !v->is_place && debug_type(of).kind != TYPE_STRUCT ? "*" : "", v->name);
		descend(of, &descent);
		return true;
	}
	return false;
}

static bool name_global(const void *addr, unsigned bytes, struct named_value *place)
{
	struct variable variable;
	struct descent descent = {
		.bytes = bytes, .path = place->name, .room = sizeof(place->name), .place = place
	};

	if (!debug_global((uintptr_t)addr, &variable))
		return false;
	snprintf(place->name, sizeof(place->name), "%s", variable.name);
	descent.offset = (uintptr_t)addr - variable.value;
	descend(variable.type, &descent);
	return true;
}

/* "state[3]": an array of bytes or words to which no struct belongs. */
static bool name_element(const void *addr, unsigned bytes, struct named_value *place)
{
	const void *start;
	size_t whole, offset;
	const char *name = scenario_name(addr, bytes, &start, &whole);

	if (name == NULL || bytes == 0)
		return false;
	offset = (uintptr_t)addr - (uintptr_t)start;
	if (offset % bytes == 0)
		snprintf(place->name, sizeof(place->name), "%s[%zu]", name, offset / bytes);
	else
		snprintf(place->name, sizeof(place->name), "%s+%zu", name, offset);
	return true;
}

/* "quire-chunks @14c58": as name_word() says it. */
static void describe_place(const void *addr, char *text, size_t room)
{
	char name[NAME_MAX_BYTES], *plus = strstr(memory_describe(addr, name, sizeof(name)), "+0x");

	if (plus == NULL) {
		snprintf(text, room, "%s", name);
		return;
	}
	*plus = '\0';
	snprintf(text, room, "%.60s @%.24s", name, plus + 3);
}

void names_place(const struct event *event, const void *addr, unsigned bytes,
		 struct named_value *place)
{
	bool writes = event->old != event->value;

	*place = (struct named_value){ .type = 0 };
	if (in_stacks(addr)) {
		if (!name_local(event, addr, bytes, place))
			snprintf(place->name, sizeof(place->name), "a local variable");
		return;
	}
	if (!in_arena(addr)) {
		if (name_global(addr, bytes, place))
			return;
	} else if (best_name(addr, bytes, writes ? event->old ^ event->value : 0, place) != NULL ||
		   name_element(addr, bytes, place) || name_local(event, addr, bytes, place)) {
		return;
	}
	describe_place(addr, place->name, sizeof(place->name));
}

/* ---- values --------------------------------------------------------------------------------- */

static void pointer_value(uint64_t value, char *text, size_t room)
{
	const void *to = (const void *)(uintptr_t)value;
	char name[NAME_MAX_BYTES];
	struct object *best = NULL;
	const void *start;
	size_t whole;

	if (value == 0) {
		snprintf(text, room, "NULL");
		return;
	}
	for (unsigned i = 0; i < objects_nr; i++)
		if (objects[i].start == value && objects[i].weight != 0 &&
		    (best == NULL || objects[i].weight > best->weight))
			best = &objects[i];
	if (best != NULL) {
		set_number(best);
		object_name(best, name, sizeof(name));
		snprintf(text, room, "&%s", name);
	} else if (in_arena(to) && scenario_name(to, 1, &start, &whole) != NULL) {
		snprintf(text, room, "%s", memory_describe(to, name, sizeof(name)));
	} else {
		snprintf(text, room, "0x%llx", (unsigned long long)value);
	}
}

static int64_t extended(uint64_t value, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;

	return bytes == 0 || bytes >= 8 ? (int64_t)value : (int64_t)(value << shift) >> shift;
}

/* All bits are set: "none", in most places. */
static bool is_none(uint64_t value, unsigned bytes)
{
	return value == (bytes < 8 ? (UINT64_C(1) << bytes * 8) - 1 : UINT64_MAX);
}

/* A count that went below zero. */
static bool is_below_zero(uint64_t value, unsigned bytes)
{
	uint64_t most = bytes < 8 ? (UINT64_C(1) << bytes * 8) - 1 : UINT64_MAX;

	return (bytes == 4 || bytes == 8) && value < most && most - value < 4096;
}

/* A bit map is read in hexadecimal digits. */
void names_values(const struct named_value *place, uint64_t old, uint64_t new, unsigned bytes,
		  char *was, char *is, size_t room)
{
	enum type_kind kind = debug_type(place->type).kind;
	bool number = !place->is_whole || kind == TYPE_UNSIGNED || kind == TYPE_OTHER;

	names_value(place, old, bytes, was, room);
	names_value(place, new, bytes, is, room);
	if (place->bits != 0 || !number ||
	    (was[0] == '0' && was[1] == 'x') == (is[0] == '0' && is[1] == 'x') ||
	    is_none(old, bytes) || is_none(new, bytes))
		return;
	if (strncmp(was, "2^", 2) == 0 || strncmp(is, "2^", 2) == 0)
		return;
	snprintf(was, room, "0x%llx", (unsigned long long)old);
	snprintf(is, room, "0x%llx", (unsigned long long)new);
}

void names_value(const struct named_value *place, uint64_t value, unsigned bytes, char *text,
		 size_t room)
{
	struct type type = debug_type(place->type);
	const char *word;

	if (place->bits != 0)
		value = value >> place->bit & ((UINT64_C(1) << place->bits) - 1);
	else if (!place->is_whole)
		type.kind = TYPE_OTHER;
	if (type.kind == TYPE_BOOL && value < 2) {
		snprintf(text, room, "%s", value ? "true" : "false");
	} else if (type.kind == TYPE_ENUM &&
		   (word = debug_enumerator(place->type, value)) != NULL) {
		snprintf(text, room, "%s", word);
	} else if (type.kind == TYPE_POINTER) {
		pointer_value(value, text, room);
	} else if (type.kind == TYPE_SIGNED && place->bits == 0) {
		snprintf(text, room, "%lld", (long long)extended(value, bytes));
	} else if (value < 1000000) {
		snprintf(text, room, "%llu", (unsigned long long)value);
	} else if (type.kind == TYPE_UNSIGNED && is_below_zero(value, bytes)) {
		snprintf(text, room, "2^%u-%llu", bytes * 8,
			 (unsigned long long)((bytes < 8 ? UINT64_C(1) << 32 : 0) - value));
	} else {
		snprintf(text, room, "0x%llx", (unsigned long long)value);
	}
}

void names_locals(const struct event *event, const char *line, char *text, size_t room)
{
	static struct variable variables[VARIABLES_MAX];
	unsigned nr = debug_variables(event, variables, VARIABLES_MAX);
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < nr && used < room; i++) {
		const struct variable *v = &variables[i];
		struct type type = debug_type(v->type);
		struct named_value place = { .type = v->type, .is_whole = true };
		char value[NAME_MAX_BYTES];
		bool again = false;

		for (unsigned k = 0; k < i && !again; k++)
			again = strcmp(variables[k].name, v->name) == 0;
		if (!v->is_own || v->is_place || again || type.kind == TYPE_POINTER ||
		    !names_has_word(line, v->name))
			continue;
		names_value(&place, v->value, (unsigned)type.bytes, value, sizeof(value));
		used += (size_t)snprintf(text + used, room - used, "%s%s = %s", used ? ", " : "",
					 v->name, value);
	}
}

/* ---- objects that broke --------------------------------------------------------------------- */

size_t names_object(const void *addr, size_t most, const void **start, char *name, size_t room)
{
	struct named_value place;
	const struct object *object = best_name(addr, 1, 0, &place);

	if (object == NULL || object->bytes > most)
		return 0;
	object_name(object, name, room);
	*start = (const void *)object->start;
	return object->bytes;
}
