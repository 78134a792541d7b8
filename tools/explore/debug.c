/* SPDX-License-Identifier: MIT */
/* debug.c - source lines of this program, from its own debug information */
#include "debug_internal.h"

#include <fcntl.h>
#include <dwarf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Dwarf *dwarf_self;
Dwarf_CFI *dwarf_frames;

static Dwarf_Die *units;
static unsigned units_nr;

static void list_units(void)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	uint8_t kind;

	while (dwarf_get_units(dwarf_self, unit, &unit, NULL, &kind, &die, NULL) == 0) {
		Dwarf_Die *more = realloc(units, (units_nr + 1) * sizeof(*units));

		if (more == NULL)
			return;
		units = more;
		units[units_nr++] = die;
	}
}

const char *debug_open(void)
{
	static bool was_tried;
	int fd;

	if (!was_tried) {
		was_tried = true;
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		dwarf_self = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
		if (dwarf_self != NULL) {
			list_units();
			dwarf_frames = dwarf_getcfi_elf(dwarf_getelf(dwarf_self));
		}
	}
	return units_nr != 0 ? NULL : "this program has no debug information (built without -g)";
}

/* ---- what holds an address ------------------------------------------------------------------ */

Dwarf_Addr dwarf_address(uintptr_t pc)
{
	return pc - scene_image_base() - 1;
}

bool dwarf_unit_of(Dwarf_Addr address, Dwarf_Die *unit)
{
	for (unsigned i = 0; i < units_nr; i++)
		if (dwarf_haspc(&units[i], address) == 1) {
			*unit = units[i];
			return true;
		}
	return false;
}

static unsigned find_scopes(Dwarf_Addr address, Dwarf_Die **scopes)
{
	Dwarf_Die unit, *inner = NULL;
	int nr;

	*scopes = NULL;
	if (!dwarf_unit_of(address, &unit) || dwarf_getscopes(&unit, address, &inner) <= 0)
		return 0;
	/* Of an inlined function these are the scopes where it is defined: ask where it was put. */
	nr = dwarf_getscopes_die(&inner[0], scopes);
	free(inner);
	for (int i = 0; i < nr; i++)
		if (dwarf_tag(&(*scopes)[i]) == DW_TAG_subprogram)
			return (unsigned)i + 1;
	return 0;
}

struct kept_scopes {
	Dwarf_Addr address;
	Dwarf_Die *scopes;
	unsigned nr;
	bool is_known;
};

#define KEPT_SCOPES 16384u
static struct kept_scopes kept_scopes[KEPT_SCOPES];

/* One that finds its place taken drives the other out. */
unsigned dwarf_scopes_of(Dwarf_Addr address, Dwarf_Die **scopes)
{
	struct kept_scopes *kept = &kept_scopes[address % KEPT_SCOPES];

	if (!kept->is_known || kept->address != address) {
		free(kept->scopes);
		kept->address = address;
		kept->nr = find_scopes(address, &kept->scopes);
		kept->is_known = true;
	}
	*scopes = kept->scopes;
	return kept->nr;
}

const char *dwarf_function_name(Dwarf_Die *scope)
{
	Dwarf_Attribute attribute;
	int tag = dwarf_tag(scope);

	if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine)
		return NULL;
	return dwarf_formstring(dwarf_attr_integrate(scope, DW_AT_name, &attribute));
}

bool dwarf_number(Dwarf_Die *die, unsigned name, uint64_t *value)
{
	Dwarf_Attribute attribute;
	Dwarf_Word word;

	if (dwarf_formudata(dwarf_attr_integrate(die, name, &attribute), &word) != 0)
		return false;
	*value = word;
	return true;
}

/* ---- source files --------------------------------------------------------------------------- */

struct source {
	const char *recorded; /* its name in the debug information */
	const char *name;     /* from the root of the tree */
	char *text;	      /* NULL: not to be had */
};

#define SOURCES_MAX 1024
static struct source sources[SOURCES_MAX];
static unsigned sources_nr;

/* "/any/where/src/page/drain.c" and "../src/page/drain.c": "src/page/drain.c". */
static const char *from_root(const char *path)
{
	const char *src = NULL, *tests = NULL;

	for (const char *at = path; (at = strstr(at, "/src/")) != NULL; at++)
		src = at + 1;
	for (const char *at = path; (at = strstr(at, "/tests/")) != NULL; at++)
		tests = at + 1;
	if (src != NULL && (tests == NULL || src > tests))
		return src;
	return tests != NULL ? tests : path;
}

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	long bytes;

	if (file == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) >= 0) {
		rewind(file);
		text = malloc((size_t)bytes + 1);
		if (text != NULL)
			text[fread(text, 1, (size_t)bytes, file)] = '\0';
	}
	fclose(file);
	return text;
}

/*
 * The tree's own file comes before what was recorded: objects may come from a compiler's cache, and name
 * another copy of the tree.  A changed core is compiled in a copy beside its program.
 */
static char *read_source(const char *recorded, const char *name)
{
	static const char *const above[] = { "tree/",		"",	  "../",
					     "../share/quire/", "../../", "../../../",
					     "../../../../" };
	char path[PATH_MAX], here[PATH_MAX / 2];
	ssize_t bytes = readlink("/proc/self/exe", here, sizeof(here) - 1);
	char *text = NULL;

	if (bytes <= 0)
		return read_all(recorded);
	here[bytes] = '\0';
	strrchr(here, '/')[1] = '\0';
	for (unsigned i = 0; i < sizeof(above) / sizeof(above[0]) && text == NULL; i++) {
		snprintf(path, sizeof(path), "%s%s%.2000s", here, above[i], name);
		text = read_all(path);
	}
	return text != NULL ? text : read_all(recorded);
}

/* What lies in these two is told apart by its own folders. */
static const char *shortened(const char *name)
{
	static const char *const roots[] = { "src/", "tests/sim/" };

	for (unsigned i = 0; i < 2; i++)
		if (strncmp(name, roots[i], strlen(roots[i])) == 0)
			return name + strlen(roots[i]);
	return name;
}

static const struct source *source_of(const char *recorded)
{
	struct source *source;
	const char *name;

	for (unsigned i = 0; i < sources_nr; i++)
		if (strcmp(sources[i].recorded, recorded) == 0)
			return &sources[i];
	if (sources_nr == SOURCES_MAX)
		return NULL;
	source = &sources[sources_nr++];
	name = from_root(recorded);
	*source = (struct source){ .recorded = recorded,
				   .name = shortened(name),
				   .text = read_source(recorded, name) };
	return source;
}

/* Where a line begins; NULL if there are not so many. */
static const char *begin_of(const char *text, unsigned line)
{
	for (unsigned i = 1; text != NULL && i < line; i++) {
		text = strchr(text, '\n');
		text = text != NULL ? text + 1 : NULL;
	}
	return text;
}

/* The line without the blanks around it; "" if there is none. */
static const char *line_of(const struct source *source, unsigned line)
{
	const char *at = begin_of(source->text, line), *end;
	char *copy;

	if (at == NULL || line == 0)
		return "";
	at += strspn(at, " \t");
	end = at + strcspn(at, "\n");
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	copy = strndup(at, (size_t)(end - at));
	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if (*c == '\t')
			*c = ' ';
	return copy != NULL ? copy : "";
}

/* The last comment that ends before @end, with nothing but blanks between. */
static const char *comment_before(const char *text, const char *end)
{
	while (end > text && strchr(" \t\n", end[-1]) != NULL)
		end--;
	if (end - text < 4 || end[-1] != '/' || end[-2] != '*')
		return NULL;
	for (end -= 3; end > text; end--)
		if (end[0] == '*' && end[-1] == '/')
			return end + 1;
	return NULL;
}

void debug_comment(const char *file, unsigned line, char *text, size_t room)
{
	const struct source *source = source_of(file);
	const char *at = source != NULL ? begin_of(source->text, line) : NULL;
	size_t used = 0;
	bool blank = true;

	text[0] = '\0';
	at = at != NULL ? comment_before(source->text, at) : NULL;
	for (; at != NULL && strncmp(at, "*/", 2) != 0 && used + 2 < room; at++) {
		bool star = *at == '*' && blank;

		if (strchr(" \t\n", *at) == NULL && !star) {
			if (blank && used != 0)
				text[used++] = ' ';
			text[used++] = *at;
		}
		blank = star || strchr(" \t\n", *at) != NULL;
	}
	text[used] = '\0';
}

/* ---- places --------------------------------------------------------------------------------- */

static struct place place_at(const char *recorded, unsigned line, const char *function)
{
	const struct source *source = recorded != NULL ? source_of(recorded) : NULL;

	if (source == NULL)
		return (struct place){ .file = "?", .function = function, .text = "" };
	return (struct place){
		.file = source->name,
		.function = function,
		.text = line_of(source, line),
		.line = line,
	};
}

static struct place called_from(Dwarf_Die *unit, Dwarf_Die *inlined)
{
	uint64_t file = 0, line = 0;
	Dwarf_Files *files;
	size_t files_nr;

	dwarf_number(inlined, DW_AT_call_line, &line);
	if (!dwarf_number(inlined, DW_AT_call_file, &file) ||
	    dwarf_getsrcfiles(unit, &files, &files_nr) != 0)
		return place_at(NULL, 0, "?");
	return place_at(dwarf_filesrc(files, (size_t)file, NULL, NULL), (unsigned)line, "?");
}

static unsigned find_places(uintptr_t pc, struct place places[PLACES_MAX])
{
	Dwarf_Addr address = dwarf_address(pc);
	Dwarf_Die unit, *scopes;
	Dwarf_Line *line;
	unsigned nr = 0, scopes_nr;
	int number = 0;

	if (!dwarf_unit_of(address, &unit))
		return 0;
	line = dwarf_getsrc_die(&unit, address);
	if (line == NULL || dwarf_lineno(line, &number) != 0)
		return 0;
	places[nr++] = place_at(dwarf_linesrc(line, NULL, NULL), (unsigned)number, "?");
	scopes_nr = dwarf_scopes_of(address, &scopes);
	for (unsigned i = 0; i < scopes_nr; i++) {
		const char *name = dwarf_function_name(&scopes[i]);

		if (name == NULL)
			continue;
		places[nr - 1].function = name;
		if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine || nr == PLACES_MAX)
			break;
		places[nr++] = called_from(&unit, &scopes[i]);
	}
	return nr;
}

struct kept_places {
	uintptr_t pc;
	unsigned nr;
	struct place places[PLACES_MAX];
};

#define KEPT_PLACES 8192u
static struct kept_places *kept_places[KEPT_PLACES];

unsigned debug_places(uintptr_t pc, struct place places[PLACES_MAX])
{
	struct kept_places *kept;
	size_t slot = pc % KEPT_PLACES;

	while (kept_places[slot] != NULL && kept_places[slot]->pc != pc)
		slot = (slot + 1) % KEPT_PLACES;
	kept = kept_places[slot];
	if (kept == NULL) {
		kept = calloc(1, sizeof(*kept));
		if (kept == NULL)
			return 0;
		kept->pc = pc;
		kept->nr = find_places(pc, kept->places);
		kept_places[slot] = kept;
	}
	memcpy(places, kept->places, sizeof(kept->places));
	return kept->nr;
}
