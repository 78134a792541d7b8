/* SPDX-License-Identifier: MIT */
/* vmap/verify.h - the rules of areas */
#ifndef VMAP_VERIFY_H
#define VMAP_VERIFY_H

struct quire_module;

/* 0, or 200 + the number of the first that does not hold. */
int vmap_verify(struct quire_module *module);

#endif
