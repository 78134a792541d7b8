/* SPDX-License-Identifier: MIT */
#include "stat_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quire_test.h"

uint64_t stat_json_number(const char *json, const char *module, const char *name)
{
	char key[96];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":{", module);
	at = strstr(json, key);
	assert_non_null(at);
	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(at, key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}
