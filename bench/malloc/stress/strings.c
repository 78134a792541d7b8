/* SPDX-License-Identifier: MIT */
/* strings.c - words are appended to growing strings, which are copied into a table of words and counted */
#include <string.h>
#include "malloc/stress/shape.h"

#define LINES_NR   60000u
#define WORDS_NR   40u /* of a line */
#define BUCKETS_NR 65536u
#define VOCABULARY 200000u
#define FORGET_ONE 4u /* line in so many removes a bucket */

struct word {
	struct word *next;
	uint32_t count;
	char *text;
};

static struct word *buckets[BUCKETS_NR];

static uint32_t text_hash(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash % BUCKETS_NR;
}

static char *text_copy(const char *text, size_t bytes)
{
	char *copy = shape_alloc(bytes + 1);

	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return copy;
}

static void word_count(char *text)
{
	struct word **at = &buckets[text_hash(text)];

	while (*at && strcmp((*at)->text, text) != 0)
		at = &(*at)->next;
	if (*at) {
		free(text);
		(*at)->count++;
		return;
	}
	*at = shape_alloc(sizeof(**at));
	**at = (struct word){ .count = 1, .text = text };
}

static void bucket_forget(uint32_t bucket)
{
	while (buckets[bucket]) {
		struct word *word = buckets[bucket];

		if (text_hash(word->text) != bucket)
			shape_refuse("a word is not what was written");
		buckets[bucket] = word->next;
		free(word->text);
		free(word);
	}
}

/* Writes a word of letters and a blank.  Returns its length. */
static size_t word_write(char *word, uint32_t number)
{
	size_t bytes = 0;

	for (; number != 0 || bytes < 4; number /= 26)
		word[bytes++] = (char)('a' + number % 26);
	word[bytes++] = ' ';
	word[bytes] = '\0';
	return bytes;
}

/* A line of words, each appended to the line so far, as a script does it. */
static char *line_make(uint64_t *random)
{
	char *line = text_copy("", 0);
	size_t have = 0;

	for (unsigned i = 0; i < WORDS_NR; i++) {
		char word[24];
		size_t bytes = word_write(word, random_below(random, VOCABULARY) * 9973u);
		char *longer = realloc(line, have + bytes + 1);

		if (!longer)
			shape_refuse("an allocation was refused");
		memcpy(longer + have, word, bytes + 1);
		line = longer;
		have += bytes;
	}
	return line;
}

void shape_strings(void)
{
	uint64_t random = 1;

	for (unsigned i = 0; i < LINES_NR; i++) {
		char *line = line_make(&random);

		for (char *at = line, *end; (end = strchr(at, ' ')) != NULL; at = end + 1)
			word_count(text_copy(at, (size_t)(end - at)));
		free(line);
		if (i % FORGET_ONE == 0)
			bucket_forget(random_below(&random, BUCKETS_NR));
	}
	for (uint32_t i = 0; i < BUCKETS_NR; i++)
		bucket_forget(i);
}
