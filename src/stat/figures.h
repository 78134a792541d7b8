/* SPDX-License-Identifier: MIT */
/* stat/figures.h - the table of figures, and their values: figures.list, figures.c */
#ifndef STAT_FIGURES_H
#define STAT_FIGURES_H

#include <stdint.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/slab.h>
#include <quire/vmap.h>

struct text;

enum figure_unit {
	UNIT_NUMBER,
	UNIT_BYTES,
	UNIT_KIB,
	UNIT_PAGES, /* of the instance */
	UNIT_SHIFT, /* a power of two of bytes */
	UNIT_ORDER, /* a power of two of pages */
};

enum figure_kind {
	KIND_GAUGE,
	KIND_COUNTER, /* never falls */
};

enum figure_module {
	MODULE_page,
	MODULE_vmap,
	MODULE_percpu,
	MODULE_slab,
	MODULES_NR,
};

struct figure {
	const char *name;    /* without unit */
	const char *meaning; /* no capital, no full stop */
	const char *advice;  /* likewise; "-": none */
	uint16_t offset;     /* in struct figure_values */
	uint8_t field_bytes;
	uint8_t module, unit, kind;
};

/* All that a table's row may refer to. */
struct figure_values {
	struct quire_page_stat page;
	struct quire_vmap_stat vmap;
	struct quire_percpu_stat percpu;
	struct quire_slab_stat slab;
};

extern const struct figure figures[];
extern const unsigned figures_nr;

/* Reads all of an instance.  0, or what the first statistic that failed returned. */
int figures_read(const struct quire *q, struct figure_values *values);
/* A figure's value, in bytes unless it is a number. */
uint64_t figure_value(const struct figure *figure, const struct figure_values *values);
/* "_bytes" or "" */
const char *figure_suffix(const struct figure *figure);
const char *figure_module(const struct figure *figure);
/* As Prometheus has it: "gauge", "quire_page_limit_bytes" */
const char *figure_kind(const struct figure *figure);
void figure_put_name(struct text *text, const struct figure *figure);

#endif
