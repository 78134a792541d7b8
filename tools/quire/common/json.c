/* SPDX-License-Identifier: MIT */
#include "common/json.h"

#include <inttypes.h>

void json_put_text(FILE *file, const char *string)
{
	fputc('"', file);
	for (; *string != '\0'; string++) {
		unsigned char c = (unsigned char)*string;

		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(file, "\\u%04x", c);
		else
			fputc(c, file);
	}
	fputc('"', file);
}

void json_put_u64(FILE *file, const char *indent, const char *key, uint64_t value)
{
	fprintf(file, "%s\"%s\": %" PRIu64 ",\n", indent, key, value);
}
