/* SPDX-License-Identifier: MIT */
#include "trace/katr_input.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "common/spool.h"

/* FORMAT.md: a plain `zstd -dc` must be able to decode a trace. */
#define WINDOW_LOG_MAX 27

/* Decoded at a time: enough that the calls cost nothing beside the decoding. */
#define OUT_BYTES (64u << 10)
#define IN_BYTES  (32u << 10)

#define ZSTD_FRAME_MAGIC  0xfd2fb528u
#define PLAIN_MAGIC	  "KATRACE"
#define PLAIN_MAGIC_BYTES 7u

struct katr_zstd {
	FILE *file;
	ZSTD_DStream *stream;
	ZSTD_inBuffer in;
	bool mid_frame; /* the frame that was begun is not complete */
	bool is_plain;	/* decoded already: `zstd -dc` in a pipe */
	uint8_t in_bytes[IN_BYTES];
	uint8_t out_bytes[OUT_BYTES];
};

void katr_fail_at(struct katr_error *error, uint64_t offset, const char *format, ...)
{
	va_list arguments;

	if (error->failed)
		return;
	error->failed = true;
	error->at_offset = true;
	error->offset = offset;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
}

void katr_fail_no_memory(struct katr_error *error, uint64_t offset)
{
	error->no_memory = error->no_memory || !error->failed;
	katr_fail_at(error, offset, "no memory");
}

static void fail_whole_file(struct katr_error *error, const char *text)
{
	katr_fail_at(error, 0, "%s", text);
	error->at_offset = false;
}

/* Reads the first bytes, so that a foreign file is named as such and not as a corrupt one. */
static void check_magic(struct katr_input *input)
{
	struct katr_zstd *zstd = input->zstd;
	const uint8_t *b = zstd->in_bytes;

	zstd->in.size = fread(zstd->in_bytes, 1, IN_BYTES, zstd->file);
	if (ferror(zstd->file))
		fail_whole_file(input->error, strerror(errno));
	else if (zstd->in.size >= PLAIN_MAGIC_BYTES &&
		 memcmp(b, PLAIN_MAGIC, PLAIN_MAGIC_BYTES) == 0)
		zstd->is_plain = true;
	else if (zstd->in.size < 4 || ((uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 |
				       (uint32_t)b[1] << 8 | b[0]) != ZSTD_FRAME_MAGIC)
		katr_fail_at(input->error, 0,
			     "not a recording: it does not begin with a zstd frame");
}

int katr_input_open(struct katr_input *input, const char *path, struct katr_error *error)
{
	struct katr_zstd *zstd = calloc(1, sizeof(*zstd));

	*input = (struct katr_input){ .zstd = zstd, .what = "the file", .error = error };
	if (zstd == NULL) {
		katr_fail_no_memory(error, 0);
		return -1;
	}
	zstd->in.src = zstd->in_bytes;
	zstd->stream = ZSTD_createDStream();
	zstd->file = spool_open(path);
	if (zstd->file == NULL && errno == ENOMEM)
		katr_fail_no_memory(error, 0);
	else if (zstd->file == NULL)
		fail_whole_file(error, strerror(errno));
	else if (zstd->stream == NULL ||
		 ZSTD_isError(
			 ZSTD_DCtx_setParameter(zstd->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		katr_fail_no_memory(error, 0);
	else
		check_magic(input);
	if (error->failed)
		katr_input_fini(input);
	return error->failed ? -1 : 0;
}

void katr_input_of_memory(struct katr_input *input, const uint8_t *bytes, size_t bytes_nr,
			  uint64_t offset)
{
	input->next = bytes;
	input->end = bytes + bytes_nr;
	input->end_offset = offset + bytes_nr;
	input->zstd = NULL;
}

void katr_input_fini(struct katr_input *input)
{
	struct katr_zstd *zstd = input->zstd;

	if (zstd == NULL)
		return;
	if (zstd->file != NULL)
		fclose(zstd->file);
	ZSTD_freeDStream(zstd->stream);
	free(zstd);
	input->zstd = NULL;
	input->next = input->end = NULL;
}

uint64_t katr_input_offset(const struct katr_input *input)
{
	return input->end_offset - (uint64_t)(input->end - input->next);
}

/* More compressed bytes: false at the end of the file or after an error. */
static bool load_compressed(struct katr_input *input)
{
	struct katr_zstd *zstd = input->zstd;

	zstd->in.pos = 0;
	zstd->in.size = fread(zstd->in_bytes, 1, IN_BYTES, zstd->file);
	if (zstd->in.size > 0)
		return true;
	if (ferror(zstd->file))
		katr_fail_at(input->error, input->end_offset, "cannot read: %s", strerror(errno));
	else if (zstd->mid_frame)
		katr_fail_at(input->error, input->end_offset,
			     "truncated: the file ends inside its zstd frame");
	return false;
}

static bool pass_on(struct katr_input *input)
{
	struct katr_zstd *zstd = input->zstd;

	if (zstd->in.pos == zstd->in.size && !load_compressed(input))
		return false;
	input->next = zstd->in_bytes + zstd->in.pos;
	input->end = zstd->in_bytes + zstd->in.size;
	input->end_offset += zstd->in.size - zstd->in.pos;
	zstd->in.pos = zstd->in.size;
	return true;
}

static void fail_decoding(struct katr_error *error, uint64_t offset, size_t result)
{
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		katr_fail_no_memory(error, offset);
	else
		katr_fail_at(error, offset, "corrupt: zstd says: %s", ZSTD_getErrorName(result));
}

/* Decodes until there is at least one byte: false at the end of the last frame or after an error.
 */
static bool decode(struct katr_input *input)
{
	struct katr_zstd *zstd = input->zstd;
	ZSTD_outBuffer out = { .dst = zstd->out_bytes, .size = OUT_BYTES };
	size_t wanted;

	if (zstd->is_plain)
		return pass_on(input);
	while (out.pos == 0) {
		/* Mid-frame zstd may hold decoded bytes although it has read all it was given. */
		if (zstd->in.pos == zstd->in.size && !zstd->mid_frame && !load_compressed(input))
			return false;
		wanted = ZSTD_decompressStream(zstd->stream, &out, &zstd->in);
		if (ZSTD_isError(wanted)) {
			fail_decoding(input->error, input->end_offset + out.pos, wanted);
			return false;
		}
		zstd->mid_frame = wanted != 0;
		if (out.pos == 0 && zstd->mid_frame && zstd->in.pos == zstd->in.size &&
		    !load_compressed(input))
			return false;
	}
	input->next = zstd->out_bytes;
	input->end = zstd->out_bytes + out.pos;
	input->end_offset += out.pos;
	return true;
}

bool katr_input_has_more(struct katr_input *input)
{
	if (input->error->failed)
		return false;
	return input->next < input->end || (input->zstd != NULL && decode(input));
}

uint8_t katr_read_byte(struct katr_input *input)
{
	if (input->next < input->end && !input->error->failed)
		return *input->next++;
	if (katr_input_has_more(input))
		return *input->next++;
	katr_fail_at(input->error, input->end_offset, "truncated: %s ends here", input->what);
	return 0;
}

uint64_t katr_read_varint_slow(struct katr_input *input, uint8_t first)
{
	uint64_t value = first & 0x7f;

	for (unsigned shift = 7; shift < 64; shift += 7) {
		uint8_t byte = katr_read_byte(input);

		/* The tenth byte has room for bit 63 alone. */
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	katr_fail_at(input->error, katr_input_offset(input), "a number exceeds 64 bits");
	return 0;
}

void katr_read_bytes(struct katr_input *input, uint8_t *bytes, size_t bytes_nr)
{
	while (bytes_nr > 0 && katr_input_has_more(input)) {
		size_t part = (size_t)(input->end - input->next);

		if (part > bytes_nr)
			part = bytes_nr;
		memcpy(bytes, input->next, part);
		input->next += part;
		bytes += part;
		bytes_nr -= part;
	}
	if (bytes_nr > 0)
		katr_fail_at(input->error, input->end_offset, "truncated: %s ends here",
			     input->what);
}
