/* SPDX-License-Identifier: MIT */
/*
 * linux/module.h - a module as a program
 *
 * main() sets the parameters that its arguments give, as insmod's do (NAME=VALUE), and runs the module's init
 * function, then its exit function unless init refused.  A program of several modules runs all their init functions first.
 *
 * init_on_alloc=1 is a parameter of every module: as that of the kernel, it has all allocations zeroed.
 *
 * Exit status: 0; 1 if an init function failed or anything called WARN(); 2 for an argument that is no
 * parameter.  -EAGAIN is no failure: test modules return it to be unloaded at once,
 * without their exit functions.
 */
#ifndef QUIRE_LINUX_MODULE_H
#define QUIRE_LINUX_MODULE_H

#include <linux/kernel.h>
#include <linux/percpu.h> /* as the kernel's does, by way of others */
#include <linux/preempt.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct module;
#define THIS_MODULE ((struct module *)0)

/* What a module has, in lists that constructors make before main(). */
struct quire_linux_part {
	struct quire_linux_part *next;
	const char *name; /* of the function or the parameter */
	int (*init)(void);
	void (*exit)(void);
	const char *type; /* of a parameter */
	void *value;
};

struct quire_linux_module {
	struct quire_linux_part *inits, *exits, *parameters;
};

extern struct quire_linux_module quire_linux_module;
QUIRE_LINUX_SHARED_ struct quire_linux_module quire_linux_module;

/* Appends @part: lists are in the order in which constructors run. */
static inline void quire_linux_add_(struct quire_linux_part **list, struct quire_linux_part *part)
{
	while (*list != NULL)
		list = &(*list)->next;
	*list = part;
}

#define QUIRE_LINUX_PART_(list, id, ...)                                                           \
	static __attribute__((constructor)) void quire_linux_##list##_##id(void)                   \
	{                                                                                          \
		static struct quire_linux_part part = { __VA_ARGS__ };                             \
                                                                                                   \
		quire_linux_add_(&quire_linux_module.list, &part);                                 \
	}

#define module_init(function)                                                                      \
	QUIRE_LINUX_PART_(inits, function, .name = #function, .init = (function))
#define module_exit(function)                                                                      \
	QUIRE_LINUX_PART_(exits, function, .name = #function, .exit = (function))
#define late_initcall(function)	  module_init(function)
#define device_initcall(function) module_init(function)
#define subsys_initcall(function) module_init(function)

/* The type is made a string before stdbool.h's bool becomes another word. */
#define QUIRE_LINUX_PARAMETER_(id, variable, kind)                                                 \
	QUIRE_LINUX_PART_(parameters, id, .name = #id, .type = (kind), .value = &(variable))
#define module_param_named(id, variable, kind, permissions)                                        \
	QUIRE_LINUX_PARAMETER_(id, variable, #kind)
#define module_param(variable, kind, permissions) QUIRE_LINUX_PARAMETER_(variable, variable, #kind)

#define QUIRE_LINUX_NOTHING_		  _Static_assert(1, "")
#define MODULE_LICENSE(text)		  QUIRE_LINUX_NOTHING_
#define MODULE_AUTHOR(text)		  QUIRE_LINUX_NOTHING_
#define MODULE_DESCRIPTION(text)	  QUIRE_LINUX_NOTHING_
#define MODULE_VERSION(text)		  QUIRE_LINUX_NOTHING_
#define MODULE_ALIAS(text)		  QUIRE_LINUX_NOTHING_
#define MODULE_IMPORT_NS(text)		  QUIRE_LINUX_NOTHING_
#define MODULE_PARM_DESC(name, text)	  QUIRE_LINUX_NOTHING_
#define EXPORT_SYMBOL(name)		  QUIRE_LINUX_NOTHING_
#define EXPORT_SYMBOL_GPL(name)		  QUIRE_LINUX_NOTHING_
#define EXPORT_SYMBOL_NS_GPL(name, space) QUIRE_LINUX_NOTHING_

/* ---- parameters ---- */

/* One for all files of the program. */
extern struct quire_linux_part quire_linux_init_on_alloc_part;
QUIRE_LINUX_SHARED_ struct quire_linux_part quire_linux_init_on_alloc_part;

__attribute__((constructor)) static void quire_linux_kernel_parameters(void)
{
	if (quire_linux_init_on_alloc_part.name != NULL)
		return;
	quire_linux_init_on_alloc_part = (struct quire_linux_part){
		.name = "init_on_alloc", .type = "bool", .value = &quire_linux_init_on_alloc
	};
	quire_linux_add_(&quire_linux_module.parameters, &quire_linux_init_on_alloc_part);
}

/* As the kernel reads it, by the first letter; false if the text is neither. */
static inline bool quire_linux_bool_(const struct quire_linux_part *part, const char *text)
{
	bool is_yes = strchr("1yYtT", *text) != NULL || strcasecmp(text, "on") == 0;

	if (*text == '\0' ||
	    (!is_yes && strchr("0nNfF", *text) == NULL && strcasecmp(text, "off") != 0))
		return false;
	*(bool *)part->value = is_yes;
	return true;
}

struct quire_linux_number_type {
	const char *type;
	unsigned bytes;
	bool is_signed;
};

/* NULL: the type is none of a number. */
static inline const struct quire_linux_number_type *quire_linux_number_type_(const char *type)
{
	static const struct quire_linux_number_type types[] = {
		{ "byte", 1, false },  { "short", 2, true },   { "ushort", 2, false },
		{ "int", 4, true },    { "uint", 4, false },   { "long", 8, true },
		{ "ulong", 8, false }, { "ullong", 8, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i].type) == 0)
			return &types[i];
	return NULL;
}

/* Stores a number; false if the text is none, or not of the parameter's range. */
static inline bool quire_linux_number_(const struct quire_linux_part *part, const char *text)
{
	const struct quire_linux_number_type *type = quire_linux_number_type_(part->type);
	bool is_negative = *text == '-';
	uint64_t number, most;
	char *end;

	text += is_negative || *text == '+';
	if (type == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 0);
	most = UINT64_MAX >> (64 - 8 * type->bytes) >> type->is_signed;
	if (is_negative)
		most = type->is_signed ? most + 1 : 0;
	if (errno != 0 || *end != '\0' || number > most)
		return false;
	if (is_negative)
		number = -number;
	memcpy(part->value, &number, type->bytes); /* little endian */
	return true;
}

/* @text: what is behind the '=', NULL without one: then the parameter is a bool. */
static inline bool quire_linux_set_part_(const struct quire_linux_part *part, char *text)
{
	if (strcmp(part->type, "bool") == 0)
		return quire_linux_bool_(part, text != NULL ? text : "1");
	if (text == NULL)
		return false;
	if (strcmp(part->type, "charp") != 0)
		return quire_linux_number_(part, text);
	*(char **)part->value = text;
	return true;
}

/* NAME=VALUE, or NAME alone for a bool; false if there is no such parameter, or the value is not of its type. */
static inline bool quire_linux_set_(char *argument)
{
	size_t name_bytes = strcspn(argument, "=");
	char *text = argument[name_bytes] == '=' ? argument + name_bytes + 1 : NULL;

	for (struct quire_linux_part *part = quire_linux_module.parameters; part != NULL;
	     part = part->next)
		if (strlen(part->name) == name_bytes &&
		    strncmp(part->name, argument, name_bytes) == 0)
			return quire_linux_set_part_(part, text);
	return false;
}

/* ---- main ---- */

/* Loads and unloads: after an -EAGAIN nothing is loaded, and no exit function runs.  Returns the program's status. */
static inline int quire_linux_run_(void)
{
	bool is_unloaded = false;

	for (struct quire_linux_part *part = quire_linux_module.inits; part != NULL;
	     part = part->next) {
		int error = part->init();

		is_unloaded |= error == -EAGAIN;
		if (error != 0 && error != -EAGAIN) {
			printk("%s() failed: %d\n", part->name, error);
			return 1;
		}
	}
	for (struct quire_linux_part *part = quire_linux_module.exits; part != NULL && !is_unloaded;
	     part = part->next)
		part->exit();
	return 0;
}

int main(int argc, char **argv);

__attribute__((weak)) int main(int argc, char **argv)
{
	int status;

	for (int i = 1; i < argc; i++) {
		if (!quire_linux_set_(argv[i])) {
			printk("%s: no parameter, or not of its type: %s\n", argv[0], argv[i]);
			return 2;
		}
	}
	status = quire_linux_run_();
	return status != 0 ? status : quire_linux_warnings != 0;
}

#endif
