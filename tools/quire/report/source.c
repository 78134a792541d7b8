/* SPDX-License-Identifier: MIT */
#include "report/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void source_made(struct source *source, const char *key, const char *format, ...)
{
	struct made *made;
	va_list arguments;

	if (source->made_nr == MADE_MAX)
		return;
	made = &source->made[source->made_nr];
	snprintf(made->key, sizeof(made->key), "%s", key);
	va_start(arguments, format);
	vsnprintf(made->value, sizeof(made->value), format, arguments);
	va_end(arguments);
	if (made->value[0] != '\0')
		source->made_nr++;
}

struct curve *source_curve(struct source *source, struct module *module, enum curve_key key)
{
	if (module->curves[key] == NULL)
		module->curves[key] = curve_new(source->seconds);
	return module->curves[key];
}

void source_end_curves(struct source *source)
{
	for (unsigned i = 0; i < source->modules_nr; i++)
		curves_end(source->modules[i].curves, CURVE_KEYS_NR);
	curves_end(source->linux_orders, ORDERS_NR);
}

const struct module *source_module(const struct source *source, const char *name)
{
	for (unsigned i = 0; i < source->modules_nr; i++)
		if (strcmp(source->modules[i].name, name) == 0)
			return &source->modules[i];
	return NULL;
}

bool module_has(const struct module *module, enum curve_key key)
{
	return module->curves[key] != NULL && module->curves[key]->has_begun;
}

const char *curve_name(enum curve_key key)
{
	static const char *const names[CURVE_KEYS_NR] = {
		[CURVE_ASKED] = "asked", [CURVE_LINUX] = "linux", [CURVE_QUIRE] = "quire",
		[CURVE_USED] = "used",	 [CURVE_KEPT] = "kept",	  [CURVE_RESIDENT] = "resident",
	};

	return names[key];
}

const char *curve_words(const struct module *module, enum curve_key key)
{
	static const char *const words[CURVE_KEYS_NR] = {
		[CURVE_ASKED] = "asked for",
		[CURVE_USED] = "in use",
		[CURVE_KEPT] = "free, with memory",
		[CURVE_RESIDENT] = "resident",
	};

	if (key == CURVE_LINUX)
		return module->linux_is;
	return key == CURVE_QUIRE ? module->quire_is : words[key];
}

void source_fini(struct source *source)
{
	for (unsigned i = 0; i < source->modules_nr; i++) {
		for (unsigned key = 0; key < CURVE_KEYS_NR; key++)
			free(source->modules[i].curves[key]);
		map_fini(&source->modules[i].linux_map);
		map_fini(&source->modules[i].quire_map);
	}
	for (unsigned order = 0; order < ORDERS_NR; order++) {
		free(source->linux_orders[order]);
		free(source->quire_orders[order]);
	}
	free(source->holders);
}
