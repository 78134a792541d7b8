/* SPDX-License-Identifier: MIT */
#include "common/json_reader.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What we write is five deep. */
#define DEPTH_MAX 16

/*
 * One walk over the text.  @path is the rest of the path that leads on from the value being read;
 * NULL off the path.  The number is taken where the path is used up.
 */
struct walk {
	const char *at;
	double number;
	bool has_number;
	unsigned depth;
};

static bool walk_value(struct walk *walk, const char *path);

static void skip_space(struct walk *walk)
{
	walk->at += strspn(walk->at, " \t\r\n");
}

static bool walk_word(struct walk *walk, const char *word)
{
	if (strncmp(walk->at, word, strlen(word)) != 0)
		return false;
	walk->at += strlen(word);
	return true;
}

/* @walk->at is behind the closing quote afterwards. */
static bool walk_string(struct walk *walk)
{
	if (!walk_word(walk, "\""))
		return false;
	while (*walk->at != '"') {
		if ((unsigned char)*walk->at < 0x20)
			return false;
		if (*walk->at == '\\') {
			walk->at++;
			if (strchr("\"\\/bfnrtu", *walk->at) == NULL || *walk->at == '\0')
				return false;
		}
		walk->at++;
	}
	walk->at++;
	return true;
}

static bool walk_number(struct walk *walk, const char *path)
{
	char *end;
	double number;

	if (*walk->at != '-' && !isdigit((unsigned char)*walk->at))
		return false;
	number = strtod(walk->at, &end);
	if (!isfinite(number)) /* such as 1e999, and what strtod() has beside JSON's numbers */
		return false;
	if (path != NULL && *path == '\0') {
		walk->number = number;
		walk->has_number = true;
	}
	walk->at = end;
	return true;
}

/* What remains of @path behind its first part, if that is the @bytes at @key; otherwise NULL. */
static const char *path_after(const char *path, const char *key, size_t bytes)
{
	if (path == NULL || *path == '\0' || strcspn(path, ".") != bytes ||
	    strncmp(path, key, bytes) != 0)
		return NULL;
	return path[bytes] == '.' ? path + bytes + 1 : path + bytes;
}

static bool walk_member(struct walk *walk, const char *path)
{
	const char *key;

	skip_space(walk);
	key = walk->at + 1;
	if (!walk_string(walk))
		return false;
	path = path_after(path, key, (size_t)(walk->at - 1 - key));
	skip_space(walk);
	return walk_word(walk, ":") && walk_value(walk, path);
}

static bool walk_element(struct walk *walk, const char *path, unsigned index)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", index);
	return walk_value(walk, path_after(path, key, strlen(key)));
}

/* Members or elements up to the closing bracket. */
static bool walk_list(struct walk *walk, const char *path, bool is_object)
{
	const char *closing = is_object ? "}" : "]";

	walk->at++;
	skip_space(walk);
	if (walk_word(walk, closing))
		return true;
	for (unsigned index = 0;; index++) {
		if (!(is_object ? walk_member(walk, path) : walk_element(walk, path, index)))
			return false;
		skip_space(walk);
		if (walk_word(walk, closing))
			return true;
		if (!walk_word(walk, ","))
			return false;
	}
}

static bool walk_value(struct walk *walk, const char *path)
{
	bool is_right;

	if (++walk->depth > DEPTH_MAX)
		return false;
	skip_space(walk);
	if (*walk->at == '{' || *walk->at == '[')
		is_right = walk_list(walk, path, *walk->at == '{');
	else if (*walk->at == '"')
		is_right = walk_string(walk);
	else
		is_right = walk_number(walk, path) || walk_word(walk, "true") ||
			   walk_word(walk, "false") || walk_word(walk, "null");
	walk->depth--;
	return is_right;
}

bool json_is_right(const char *text, size_t *offset)
{
	struct walk walk = { .at = text };
	bool is_right = walk_value(&walk, NULL);

	skip_space(&walk);
	*offset = (size_t)(walk.at - text);
	return is_right && *walk.at == '\0';
}

bool json_number(const char *text, const char *path, double *number)
{
	struct walk walk = { .at = text };

	if (!walk_value(&walk, path) || !walk.has_number)
		return false;
	*number = walk.number;
	return true;
}
