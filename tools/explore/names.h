/* SPDX-License-Identifier: MIT */
/*
 * names.h - variables by name: objects of known types, their fields, and values as the types show them
 *
 * An object is known by the variables that point to it: whatever a function of the core, or of the scenario, holds
 * as a pointer to a struct while an event happens is such a struct, and so is what its fields point to.  It has one
 * name, whoever uses it: that of sim_name(), or its type's, with a number if there are several: "pcp[1]", "slab#2".
 */
#ifndef QUIRE_EXPLORE_NAMES_H
#define QUIRE_EXPLORE_NAMES_H

#include "debug.h"

#define NAME_MAX_BYTES 96

/* Learns the objects from the trace. */
void names_learn(void);
/* Numbers of objects are given anew from here on, in the order in which they are named. */
void names_renumber(void);

struct named_value {
	char name[NAME_MAX_BYTES]; /* "pcp[1].count_pages" */
	type_id type;		   /* 0: not known */
	uint64_t offset;	   /* in it */
	unsigned bit, bits;	   /* of a bit field */
	bool is_whole;		   /* a scalar of just the bytes that were asked for */
};

/* Names what an event touches. */
void names_place(const struct event *event, const void *addr, unsigned bytes,
		 struct named_value *place);
/* A value that @place has, in decimal, as an enumerator, as the object that it points to. */
void names_value(const struct named_value *place, uint64_t value, unsigned bytes, char *text,
		 size_t room);
/* The same before and after an access. */
void names_values(const struct named_value *place, uint64_t old, uint64_t new, unsigned bytes,
		  char *was, char *is, size_t room);
/* The object around an address, and how many bytes it has; 0: not known, or larger than @most. */
size_t names_object(const void *addr, size_t most, const void **start, char *name, size_t room);
/* The variables of the function that @event is in whose names are words of @line, "size = 64, order = 0";
 * "" if there are none. */
void names_locals(const struct event *event, const char *line, char *text, size_t room);

/* Does @word stand in @line as a whole? */
bool names_has_word(const char *line, const char *word);

#endif
