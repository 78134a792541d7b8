/* SPDX-License-Identifier: MIT */
/* profile.c - reading a profile: nothing in the file is believed before it was compared with its length */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/spool.h"
#include "malloc/linux/gzip.h"
#include "symbolize/symbolize.h"

struct reader {
	const uint8_t *at, *end;
	bool is_wrong;
};

struct field {
	unsigned number;
	uint64_t value;	    /* of a number */
	struct bytes bytes; /* of a message or a text; else no start */
};

static uint64_t take_number(struct reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;

		value |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return value;
	}
	reader->is_wrong = true;
	return 0;
}

/* False at the end, or if the field is wrong.  Fields of four and eight bytes are in no profile. */
static bool take_field(struct reader *reader, struct field *field)
{
	uint64_t key;

	if (reader->at == reader->end || reader->is_wrong)
		return false;
	key = take_number(reader);
	*field = (struct field){ .number = (unsigned)(key >> 3), .value = take_number(reader) };
	if ((key & 7) == 2 && field->value <= (uint64_t)(reader->end - reader->at)) {
		field->bytes = (struct bytes){ reader->at, (size_t)field->value };
		reader->at += field->value;
	} else if ((key & 7) != 0) {
		reader->is_wrong = true;
	}
	return !reader->is_wrong;
}

static struct reader reader_of(struct bytes bytes)
{
	return (struct reader){ .at = bytes.start, .end = bytes.start + bytes.nr };
}

/* Room for one more of @each bytes.  Powers of two are full. */
static bool grow(struct profile *profile, void **array, size_t nr, size_t each)
{
	void *more;

	if ((nr & (nr - 1)) != 0)
		return true;
	more = realloc(*array, (nr != 0 ? 2 * nr : 1) * each);
	profile->is_short = more == NULL;
	if (more != NULL)
		*array = more;
	return more != NULL;
}

static bool add_string(struct profile *profile, struct bytes bytes)
{
	if (!grow(profile, (void **)&profile->strings, profile->strings_nr,
		  sizeof(*profile->strings)))
		return false;
	profile->strings[profile->strings_nr++] = bytes;
	return true;
}

static bool add_mapping(struct profile *profile, struct bytes bytes)
{
	struct profile_mapping mapping = { .message = bytes };
	uint64_t *to[] = {
		NULL,	       &mapping.id,	 &mapping.start, &mapping.limit, &mapping.offset,
		&mapping.path, &mapping.build_id
	};
	struct reader reader = reader_of(bytes);
	struct field field;

	while (take_field(&reader, &field)) {
		if (field.number >= 1 && field.number <= 6)
			*to[field.number] = field.value;
		if (field.number == 7)
			mapping.has_symbols = field.value != 0;
	}
	if (reader.is_wrong ||
	    !grow(profile, (void **)&profile->mappings, profile->mappings_nr, sizeof(mapping)))
		return false;
	profile->mappings[profile->mappings_nr++] = mapping;
	return true;
}

static bool add_location(struct profile *profile, struct bytes bytes)
{
	struct profile_location location = { .message = bytes };
	uint64_t *to[] = { NULL, &location.id, &location.mapping, &location.address };
	struct reader reader = reader_of(bytes);
	struct field field;

	while (take_field(&reader, &field)) {
		if (field.number >= 1 && field.number <= 3)
			*to[field.number] = field.value;
		if (field.number == 4)
			location.has_lines = true;
	}
	if (reader.is_wrong ||
	    !grow(profile, (void **)&profile->locations, profile->locations_nr, sizeof(location)))
		return false;
	profile->locations[profile->locations_nr++] = location;
	return true;
}

static bool note_function(struct profile *profile, struct bytes bytes)
{
	struct reader reader = reader_of(bytes);
	struct field field;

	while (take_field(&reader, &field))
		if (field.number == 1 && field.value > profile->functions_max)
			profile->functions_max = field.value;
	return !reader.is_wrong;
}

static bool add_field(struct profile *profile, const struct field *field)
{
	if (field->bytes.start == NULL)
		return true;
	switch (field->number) {
	case 3:
		return add_mapping(profile, field->bytes);
	case 4:
		return add_location(profile, field->bytes);
	case 5:
		return note_function(profile, field->bytes);
	case 6:
		return add_string(profile, field->bytes);
	default:
		return true;
	}
}

static int parse(struct profile *profile, const char *path)
{
	struct reader reader = { .at = profile->text, .end = profile->text + profile->bytes };
	const uint8_t *start = reader.at;
	struct field field;

	while (take_field(&reader, &field)) {
		if (!add_field(profile, &field))
			reader.is_wrong = true;
		else
			start = reader.at;
	}
	if (!reader.is_wrong && profile->strings_nr != 0)
		return 0;
	if (profile->is_short) {
		fprintf(stderr, "quire symbolize: %s: %s\n", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	fprintf(stderr, "quire symbolize: %s: no profile for pprof: byte %td of its message%s\n",
		path, start - profile->text, reader.is_wrong ? "" : ": it has no strings");
	return -EINVAL;
}

/* 0 or -errno. */
static int read_all(struct profile *profile, FILE *file)
{
	size_t room = 0, n = 1;

	while (n != 0) {
		if (profile->bytes == room) {
			uint8_t *more = realloc(profile->text, room += room / 2 + 65536);

			if (more == NULL)
				return -ENOMEM;
			profile->text = more;
		}
		n = fread(profile->text + profile->bytes, 1, room - profile->bytes, file);
		profile->bytes += n;
	}
	return ferror(file) != 0 ? -errno : 0;
}

static bool is_gzip(const struct profile *profile)
{
	return profile->bytes >= 2 && profile->text[0] == 0x1f && profile->text[1] == 0x8b;
}

int profile_read(struct profile *profile, const char *path)
{
	FILE *file = spool_open(path);
	int error = file == NULL ? -errno : 0;
	const char *wrong = NULL;

	*profile = (struct profile){ .text = NULL };
	if (file != NULL) {
		error = read_all(profile, file);
		fclose(file);
	}
	if (error != 0) {
		fprintf(stderr, "quire symbolize: %s: %s\n", path, strerror(-error));
		return error == -ENOMEM ? error : -EINVAL;
	}
	if (is_gzip(profile))
		wrong = gzip_take_off(profile->text, &profile->bytes);
	if (wrong == NULL)
		return parse(profile, path);
	fprintf(stderr,
		"quire symbolize: %s: it %s; `gzip -dc` may read it: give what that prints\n", path,
		wrong);
	return -EINVAL;
}

void profile_fini(struct profile *profile)
{
	free(profile->text);
	free(profile->strings);
	free(profile->mappings);
	free(profile->locations);
}

char *profile_string(const struct profile *profile, uint64_t number)
{
	if (number >= profile->strings_nr)
		return NULL;
	return strndup((const char *)profile->strings[number].start, profile->strings[number].nr);
}
