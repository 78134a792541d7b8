/* SPDX-License-Identifier: MIT */
/*
 * stat/figures.c - the table of figures, and where their values come from
 *
 * Everything that shows a figure goes through this table: JSON, Prometheus' text, the document, the command's
 * columns.  So a figure has one name, one unit and one meaning everywhere.
 */
#include "stat/figures.h"

#include <stddef.h>

#include "base/mem.h"

#define MODULE_FIELD(module, field) (((struct figure_values *)0)->module.field)

const struct figure figures[] = {
#define FIGURE(module_, field_, name_, unit_, kind_, meaning_, advice_)                            \
	{ .name = #name_,                                                                          \
	  .meaning = meaning_,                                                                     \
	  .advice = advice_,                                                                       \
	  .offset = offsetof(struct figure_values, module_.field_),                                \
	  .field_bytes = sizeof(MODULE_FIELD(module_, field_)),                                    \
	  .module = MODULE_##module_,                                                              \
	  .unit = UNIT_##unit_,                                                                    \
	  .kind = KIND_##kind_ },
#include "stat/figures.list"
#undef FIGURE
};

const unsigned figures_nr = sizeof(figures) / sizeof(figures[0]);

int figures_read(const struct quire *q, struct figure_values *values)
{
	int error;

	*values = (struct figure_values){ .page = QUIRE_PAGE_STAT_INIT,
					  .vmap = QUIRE_VMAP_STAT_INIT,
					  .percpu = QUIRE_PERCPU_STAT_INIT,
					  .slab = QUIRE_SLAB_STAT_INIT };
	error = quire_page_stat_read(q, &values->page);
	if (!error)
		error = quire_vmap_stat_read(q, &values->vmap);
	if (!error)
		error = quire_percpu_stat_read(q, &values->percpu);
	return error ? error : quire_slab_stat_read(q, &values->slab);
}

uint64_t figure_value(const struct figure *figure, const struct figure_values *values)
{
	const char *field = (const char *)values + figure->offset;
	uint64_t value = 0;
	uint32_t narrow = 0;

	if (figure->field_bytes == sizeof(narrow)) {
		memcpy(&narrow, field, sizeof(narrow));
		value = narrow;
	} else {
		memcpy(&value, field, sizeof(value));
	}
	if (figure->unit == UNIT_PAGES)
		return value << values->page.page_shift;
	if (figure->unit == UNIT_SHIFT)
		return (uint64_t)1 << value;
	if (figure->unit == UNIT_ORDER)
		return (uint64_t)1 << (value + values->page.page_shift);
	return figure->unit == UNIT_KIB ? value << 10 : value;
}

const char *figure_suffix(const struct figure *figure)
{
	return figure->unit == UNIT_NUMBER ? "" : "_bytes";
}

const char *figure_module(const struct figure *figure)
{
	static const char *const names[MODULES_NR] = {
		[MODULE_page] = "page",
		[MODULE_vmap] = "vmap",
		[MODULE_percpu] = "percpu",
		[MODULE_slab] = "slab",
	};

	return names[figure->module];
}
