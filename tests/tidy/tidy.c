/* SPDX-License-Identifier: MIT */
/*
 * tidy ROOT - the rules of the source that a program can check
 *
 *   layers     a file under src/ includes its own module and modules to its left, nothing else
 *   libc       the core includes four headers of libc; the machine's business is in src/machine
 *   ranks      every rank of machine/lock.h is in docs/locking.md
 *   locked     the first statement of a function in src named ..._locked asserts its lock
 *   tests      a test does not return early, and checks something; what is skipped says why
 *   results    a structure that a call returns goes to a local first: gcc shows the simulated machine no write of one
 *              that goes straight into memory (docs/simulator.md)
 *   bodies     the core has no conditional compilation inside a function
 *   listed     every C file is named, by its path, in a meson.build
 *   compiled   no Python's bytecode, which an import may leave in the tree
 *   words      unfinished business has a number; no path of somebody's machine; a licence line
 *
 * Each complaint is one line, "file:line: what"; the exit status is 1 if there was one.
 */
#include "source.h"

#include <ctype.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const layers[] = { "base", "machine", "stacks",  "instance", "huge",
				      "page", "pool",	 "vmap",    "percpu",	"slab",
				      "stat", "malloc",	 "library", NULL };

static unsigned complaints_nr, files_nr, functions_nr;
static char *locking_text;
static char *structures; /* "\nNAME(" for each function that returns a structure */
static char *listed;	 /* "\nPATH" for each string of a meson.build, seen from the root */

__attribute__((format(printf, 3, 4))) static void complain(const char *path, unsigned line,
							   const char *format, ...)
{
	va_list args;

	printf("%s:%u: ", path, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	complaints_nr++;
}

static bool starts(const char *string, const char *with)
{
	return strncmp(string, with, strlen(with)) == 0;
}

static bool ends(const char *string, const char *with)
{
	size_t bytes = strlen(string), with_bytes = strlen(with);

	return bytes >= with_bytes && strcmp(string + bytes - with_bytes, with) == 0;
}

static bool has_word(struct span text, const char *word)
{
	struct span name;

	while ((name = span_next_name(&text)).bytes != 0) {
		if (span_is(name, word))
			return true;
	}
	return false;
}

/* Place of a module among the layers by the first part of a path, or -1. */
static int layer_of(struct span path)
{
	const char *slash = memchr(path.start, '/', path.bytes);
	struct span module = { path.start, 0 };

	if (slash == NULL)
		return -1;
	module.bytes = (size_t)(slash - path.start);
	for (int i = 0; layers[i] != NULL; i++) {
		if (span_is(module, layers[i]))
			return i;
	}
	return -1;
}

static bool is_core(const char *path)
{
	return starts(path, "src/") && !starts(path, "src/machine/") &&
	       !starts(path, "src/malloc/linux/");
}

static void check_quoted_include(const char *path, unsigned line, struct span name)
{
	int own = layer_of((struct span){ path + 4, strlen(path) - 4 });
	int other = layer_of(name);

	if (!starts(path, "src/"))
		return;
	if (other > own)
		complain(path, line, "includes \"%.*s\", which is to its right", (int)name.bytes,
			 name.start);
	/* A machine's own list (.def) has no module in its name. */
	if (other < 0 && is_core(path) && !span_ends(name, ".def"))
		complain(path, line, "includes \"%.*s\": spell it module/file.h", (int)name.bytes,
			 name.start);
}

static void check_angle_include(const char *path, unsigned line, struct span name)
{
	static const char *const allowed[] = { "stddef.h", "stdint.h", "stdbool.h", "limits.h" };

	if (!is_core(path) || span_starts(name, "quire/"))
		return;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (span_is(name, allowed[i]))
			return;
	}
	complain(path, line, "the core may not include <%.*s>", (int)name.bytes, name.start);
}

static void check_includes(const struct source *source)
{
	unsigned line = 0;

	for (const char *at = source->text; at != NULL; at = strchr(at, '\n')) {
		struct span name;
		char kind;

		at += *at == '\n';
		line++;
		at += strspn(at, " \t");
		if (*at != '#')
			continue;
		at += 1 + strspn(at + 1, " \t");
		if (!starts(at, "include"))
			continue;
		at += strlen("include") + strspn(at + strlen("include"), " \t");
		kind = *at++;
		name = (struct span){ at, strcspn(at, "\">\n") };
		if (kind == '"')
			check_quoted_include(source->path, line, name);
		else if (kind == '<')
			check_angle_include(source->path, line, name);
	}
}

/* A declaration begins with two names, stars between them: "struct zone *zone", "unsigned n". */
static bool is_declaration(struct span statement)
{
	static const char *const keywords[] = { "return", "if",	    "for",  "while",
						"do",	  "switch", "goto", "else" };
	struct span rest = statement, first = span_next_name(&rest);

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (span_is(first, keywords[i]))
			return false;
	}
	while (rest.bytes != 0 && strchr(" \t\n*", *rest.start) != NULL) {
		rest.start++;
		rest.bytes--;
	}
	return rest.bytes != 0 && strchr("(=.-+[;,", *rest.start) == NULL;
}

static struct span first_statement(struct span body)
{
	struct span statement = { body.start, 0 };
	int depth = 0;

	for (size_t i = 0; i < body.bytes; i++) {
		depth += body.start[i] == '{';
		depth -= body.start[i] == '}';
		if (body.start[i] != ';' || depth != 0)
			continue;
		statement.bytes = (size_t)(body.start + i - statement.start);
		if (!is_declaration(statement))
			return statement;
		statement.start = body.start + i + 1;
	}
	return (struct span){ 0 };
}

static void check_lock_assertions(const struct source *source)
{
	if (!starts(source->path, "src/"))
		return;
	for (size_t i = 0; i < source->functions_nr; i++) {
		const struct function *function = &source->functions[i];
		struct span rest = first_statement(function->body);
		struct span name = span_next_name(&rest);
		bool asserts = false;

		if (!span_ends(function->name, "_locked") ||
		    span_ends(function->name, "_is_locked"))
			continue;
		if (span_is(name, "CHECK") || span_is(name, "DCHECK")) {
			while (!asserts && (name = span_next_name(&rest)).bytes != 0)
				asserts = span_ends(name, "_is_held");
		}
		if (!asserts)
			complain(source->path, function->line,
				 "%.*s() does not first assert that its lock is held",
				 (int)function->name.bytes, function->name.start);
	}
}

/* What is assigned the result of the call of @name, which is in @body; empty if nothing is. */
static struct span assigned(struct span body, struct span name)
{
	const char *equals = name.start, *start;

	while (equals > body.start && isspace((unsigned char)equals[-1]))
		equals--;
	if (equals == body.start || equals[-1] != '=')
		return (struct span){ name.start, 0 };
	for (start = --equals; start > body.start && strchr(";{},?:", start[-1]) == NULL;)
		start--;
	return (struct span){ start, (size_t)(equals - start) };
}

static bool returns_structure(struct span name)
{
	for (const char *at = structures; (at = strchr(at, '\n')) != NULL; at++)
		if (strncmp(at + 1, name.start, name.bytes) == 0 && at[1 + name.bytes] == '(')
			return true;
	return false;
}

/* A local, or a part of one, has neither an arrow, an index nor a star. */
static void check_results(const struct source *source)
{
	if (!is_core(source->path) && !starts(source->path, "tests/sim/"))
		return;
	for (size_t i = 0; i < source->functions_nr; i++) {
		struct span body = source->functions[i].body, rest = body, name;

		while ((name = span_next_name(&rest)).bytes != 0) {
			struct span to = assigned(body, name);

			if (to.bytes == 0 || !span_starts(rest, "(") || !returns_structure(name))
				continue;
			if (memchr(to.start, '>', to.bytes) || memchr(to.start, '[', to.bytes) ||
			    memchr(to.start, '*', to.bytes))
				complain(source->path, line_of(source->code, name.start),
					 "gcc shows the simulator no write of what %.*s() returns: "
					 "assign it to a local first",
					 (int)name.bytes, name.start);
		}
	}
}

static void check_bodies(const struct source *source)
{
	if (!is_core(source->path))
		return;
	for (size_t i = 0; i < source->functions_nr; i++) {
		const struct function *function = &source->functions[i];
		size_t start = (size_t)(function->body.start - source->code);
		const char *end = source->text + start + function->body.bytes;
		const char *at = source->text + start;

		while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
			at++;
			if (at[strspn(at, " \t")] == '#')
				complain(source->path, line_of(source->text, at),
					 "a directive inside a function");
		}
	}
}

/* A check of cmocka's or of our own helpers; a test that is skipped says so itself. */
static bool is_check(struct span name)
{
	return span_starts(name, "assert_") || span_starts(name, "expect_") ||
	       span_starts(name, "EXPECT_") || span_starts(name, "check_") ||
	       span_is(name, "fail_msg") || span_is(name, "fail") || span_is(name, "skip_because");
}

/* The function checks something, or calls one of this file that does. */
static bool has_check(const struct source *source, const struct function *function, int depth)
{
	struct span rest = function->body, name;

	while ((name = span_next_name(&rest)).bytes != 0) {
		if (is_check(name))
			return true;
		for (size_t i = 0; depth > 0 && i < source->functions_nr; i++) {
			const struct function *other = &source->functions[i];

			if (other != function && other->name.bytes == name.bytes &&
			    memcmp(other->name.start, name.start, name.bytes) == 0 &&
			    has_check(source, other, depth - 1))
				return true;
		}
	}
	return false;
}

/* static void NAME(void **state) */
static bool is_test(const struct function *function)
{
	struct span rest = function->head, name = span_next_name(&rest);

	if (!span_is(name, "static") || !span_is(span_next_name(&rest), "void"))
		return false;
	name = span_next_name(&rest);
	return name.start == function->name.start && name.start[-1] != '*' &&
	       span_starts(rest, "(void **state)");
}

/* cmocka's skip() gives no reason: skip_because() is what calls it. */
static void check_skips(const struct source *source)
{
	if (!starts(source->path, "tests/"))
		return;
	for (size_t i = 0; i < source->functions_nr; i++) {
		const struct function *function = &source->functions[i];
		struct span rest = function->body, name;

		while ((name = span_next_name(&rest)).bytes != 0) {
			if (span_is(name, "skip") && span_starts(rest, "(") &&
			    !span_is(function->name, "skip_because"))
				complain(source->path, function->line,
					 "%.*s() skips without a reason", (int)function->name.bytes,
					 function->name.start);
		}
	}
}

static void check_tests(const struct source *source)
{
	if (!starts(source->path, "tests/") || !ends(source->path, "_test.c"))
		return;
	for (size_t i = 0; i < source->functions_nr; i++) {
		const struct function *function = &source->functions[i];

		if (!is_test(function))
			continue;
		if (has_word(function->body, "return"))
			complain(source->path, function->line, "%.*s() returns early",
				 (int)function->name.bytes, function->name.start);
		if (!has_check(source, function, 4))
			complain(source->path, function->line, "%.*s() checks nothing",
				 (int)function->name.bytes, function->name.start);
	}
}

/* Lists of tests leave out the .c. */
static void check_listed(const struct source *source)
{
	size_t bytes = strlen(source->path);

	if (!ends(source->path, ".c"))
		return;
	for (const char *at = listed; (at = strchr(at, '\n')) != NULL; at++) {
		size_t listed_bytes = strcspn(at + 1, "\n");

		if (strncmp(at + 1, source->path, bytes - 2) == 0 &&
		    (listed_bytes == bytes - 2 ||
		     (listed_bytes == bytes && starts(at + bytes - 1, ".c"))))
			return;
	}
	complain(source->path, 1, "is in no meson.build");
}

static void check_ranks(const struct source *source)
{
	struct span rest = { source->code, strlen(source->code) }, name;

	if (strcmp(source->path, "src/machine/lock.h") != 0)
		return;
	while ((name = span_next_name(&rest)).bytes != 0) {
		char quoted[64];

		if (!span_starts(name, "RANK_"))
			continue;
		snprintf(quoted, sizeof(quoted), "`%.*s`", (int)name.bytes, name.start);
		if (strstr(locking_text, quoted) == NULL)
			complain(source->path, line_of(source->code, name.start),
				 "%.*s is not in docs/locking.md", (int)name.bytes, name.start);
	}
}

/* Unfinished business must be followed by a number in parentheses and a colon. */
static void check_marks(const char *path, const char *text)
{
	static const char *const marks[] = { "TO"
					     "DO",
					     "FIX"
					     "ME",
					     "XX"
					     "X" };

	for (size_t i = 0; i < 3; i++) {
		const char *at = text;

		while ((at = strstr(at, marks[i])) != NULL) {
			bool begins = at == text || !isalnum((unsigned char)at[-1]);
			unsigned line = line_of(text, at);
			size_t digits_nr;

			at += strlen(marks[i]);
			if (!begins || isalnum((unsigned char)*at))
				continue;
			digits_nr = starts(at, "(#") ? strspn(at + 2, "0123456789") : 0;
			if (i != 0 || digits_nr == 0 || !starts(at + 2 + digits_nr, "): "))
				complain(path, line,
					 "write TO"
					 "DO(#123): what is to be done");
		}
	}
}

static void check_paths(const char *path, const char *text)
{
	static const char *const places[] = { "/wo"
					      "rk/",
					      "/ho"
					      "me/",
					      "/ro"
					      "ot/",
					      "/Us"
					      "ers/" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (const char *at = text; (at = strstr(at, places[i])) != NULL; at++)
			if (at == text || !isalnum((unsigned char)at[-1])) /* as in proc/PID/... */
				complain(path, line_of(text, at), "names a path of one machine");
	}
}

static void check_licence(const char *path, const char *text)
{
	const char *line = strstr(text, "SPDX-"
					"License-Identifier: MIT");

	if (line == NULL || line_of(text, line) > 2)
		complain(path, 1, "lacks its licence line");
}

static void check_source(const char *path, char *text)
{
	struct source source;

	source_init(&source, path, text);
	functions_nr += (unsigned)source.functions_nr;
	check_includes(&source);
	check_lock_assertions(&source);
	check_results(&source);
	check_bodies(&source);
	check_tests(&source);
	check_skips(&source);
	check_listed(&source);
	check_ranks(&source);
	source_fini(&source);
}

static bool is_skipped(const char *path)
{
	return strcmp(path, ".git") == 0 || starts(path, ".git/") || starts(path, "build") ||
	       starts(path, "traces/") || starts(path, "LICENSE");
}

static bool is_code(const char *path)
{
	return ends(path, ".c") || ends(path, ".h");
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *place)
{
	char *text;

	(void)status;
	(void)place;
	path += starts(path, "./") ? 2 : 0;
	if (type != FTW_F || is_skipped(path))
		return 0;
	if (ends(path, ".pyc")) {
		complain(path, 1,
			 "is Python's bytecode: set sys.dont_write_bytecode before importing");
		return 0;
	}
	text = file_read(path);
	if (text == NULL)
		return 0;
	files_nr++;
	check_marks(path, text);
	check_paths(path, text);
	if (is_code(path) || ends(path, "meson.build") || starts(path, "scripts/"))
		check_licence(path, text);
	if (is_code(path))
		check_source(path, text);
	free(text);
	return 0;
}

/* Adds @name as @directory (its last slash included) sees it. */
static void list(struct span directory, struct span name)
{
	size_t bytes = strlen(listed);

	while (span_starts(name, "../") && directory.bytes != 0) {
		name.start += 3;
		name.bytes -= 3;
		directory.bytes--;
		while (directory.bytes != 0 && directory.start[directory.bytes - 1] != '/')
			directory.bytes--;
	}
	listed = realloc(listed, bytes + directory.bytes + name.bytes + 2);
	sprintf(listed + bytes, "\n%.*s%.*s", (int)directory.bytes, directory.start,
		(int)name.bytes, name.start);
}

static void list_strings(struct span directory, struct span line)
{
	const char *at = line.start, *end = at + line.bytes, *open, *close;

	while ((open = memchr(at, '\'', (size_t)(end - at))) != NULL &&
	       (close = memchr(open + 1, '\'', (size_t)(end - open - 1))) != NULL) {
		list(directory, (struct span){ open + 1, (size_t)(close - open - 1) });
		at = close + 1;
	}
}

static int collect_meson(const char *path, const struct stat *status, int type, struct FTW *place)
{
	struct span directory;
	char *text;

	(void)status;
	(void)place;
	path += starts(path, "./") ? 2 : 0;
	if (type != FTW_F || is_skipped(path) || !ends(path, "meson.build"))
		return 0;
	text = file_read(path);
	if (text == NULL)
		return 0;
	directory = (struct span){ path, strlen(path) - strlen("meson.build") };
	for (const char *at = text; *at != '\0'; at += *at == '\n') {
		/* An apostrophe in a comment begins no string. */
		list_strings(directory, (struct span){ at, strcspn(at, "#\n") });
		at += strcspn(at, "\n");
	}
	free(text);
	return 0;
}

/* The head of one that returns a structure ends with "struct TAG NAME". */
static void list_structures(const char *path, char *text)
{
	struct source source;

	source_init(&source, path, text);
	for (size_t i = 0; i < source.functions_nr; i++) {
		const struct function *function = &source.functions[i];
		struct span rest = { function->head.start,
				     (size_t)(function->name.start - function->head.start) };
		struct span last = { "", 0 }, before = last, name;
		size_t bytes = strlen(structures);

		while ((name = span_next_name(&rest)).bytes != 0) {
			before = last;
			last = name;
		}
		if (!span_is(before, "struct") || function->name.start[-1] == '*')
			continue;
		structures = realloc(structures, bytes + function->name.bytes + 3);
		sprintf(structures + bytes, "\n%.*s(", (int)function->name.bytes,
			function->name.start);
	}
	source_fini(&source);
}

static int collect_structures(const char *path, const struct stat *status, int type,
			      struct FTW *place)
{
	char *text;

	(void)status;
	(void)place;
	path += starts(path, "./") ? 2 : 0;
	if (type != FTW_F || !is_code(path) || (!is_core(path) && !starts(path, "tests/sim/")))
		return 0;
	text = file_read(path);
	if (text == NULL)
		return 0;
	list_structures(path, text);
	free(text);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) != 0) {
		fprintf(stderr, "usage: tidy ROOT\n");
		return 2;
	}
	locking_text = file_read("docs/locking.md");
	if (locking_text == NULL)
		locking_text = strdup("");
	listed = strdup("");
	nftw(".", collect_meson, 16, FTW_PHYS);
	structures = strdup("");
	nftw(".", collect_structures, 16, FTW_PHYS);
	nftw(".", visit, 16, FTW_PHYS);
	printf("%u files, %u functions, %u complaints\n", files_nr, functions_nr, complaints_nr);
	free(locking_text);
	free(listed);
	free(structures);
	return complaints_nr != 0;
}
