/* SPDX-License-Identifier: MIT */
#include "record/symbols.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->address > y->address) - (x->address < y->address);
}

/* "ffffffff81000000 T _stext\t[module]": whether it is a function with an address. */
static bool parse_line(const char *line, uint64_t *address, char *name, size_t name_bytes)
{
	char type;
	int begin = 0;

	if (sscanf(line, "%" SCNx64 " %c %n", address, &type, &begin) != 2 || begin == 0)
		return false;
	snprintf(name, name_bytes, "%.*s", (int)strcspn(line + begin, " \t\n"), line + begin);
	return *address != 0 && strchr("tTwW", type) != NULL;
}

static int add(struct symbols *symbols, size_t *room, struct symbol symbol)
{
	size_t wanted = *room * 2 + 4096;
	struct symbol *grown = symbols->symbols;

	if (symbols->nr == *room) {
		grown = realloc(grown, wanted * sizeof(grown[0]));
		if (grown == NULL)
			return -ENOMEM;
		symbols->symbols = grown;
		*room = wanted;
	}
	grown[symbols->nr++] = symbol;
	return 0;
}

int symbols_read(struct symbols *symbols, const char *path)
{
	FILE *file = fopen(path, "r");
	size_t text_nr = 0, room = 0;
	char line[512], name[256];
	int error = 0;
	FILE *text;

	*symbols = (struct symbols){ .nr = 0 };
	if (file == NULL)
		return 0;
	text = open_memstream(&symbols->text, &text_nr);
	if (text == NULL)
		error = -ENOMEM;
	while (error == 0 && fgets(line, sizeof(line), file) != NULL) {
		struct symbol symbol;

		if (!parse_line(line, &symbol.address, name, sizeof(name)))
			continue;
		symbol.name = (size_t)ftell(text);
		fwrite(name, 1, strlen(name) + 1, text);
		error = add(symbols, &room, symbol);
	}
	if (text != NULL && fclose(text) != 0)
		error = -ENOMEM;
	fclose(file);
	if (error == 0)
		qsort(symbols->symbols, symbols->nr, sizeof(symbols->symbols[0]), compare);
	else
		symbols_fini(symbols);
	return error;
}

const char *symbols_find(const struct symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? "" : symbols->text + symbols->symbols[low - 1].name;
}

void symbols_fini(struct symbols *symbols)
{
	free(symbols->symbols);
	free(symbols->text);
	*symbols = (struct symbols){ .nr = 0 };
}
