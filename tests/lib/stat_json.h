/* SPDX-License-Identifier: MIT */
/* stat_json.h - single figures of what quire_stat_json() writes */
#ifndef TESTS_LIB_STAT_JSON_H
#define TESTS_LIB_STAT_JSON_H

#include <stdint.h>

/* The figure @name of a module; it has to be there.  Allocates nothing, and is exact: of 64 bits, where a reader of any JSON
 * (common/json_reader.h) makes a double. */
uint64_t stat_json_number(const char *json, const char *module, const char *name);

#endif
