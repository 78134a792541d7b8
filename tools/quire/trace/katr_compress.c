/* SPDX-License-Identifier: MIT */
/* katr_compress.c - a recording as one zstd frame */
#include "trace/katr_writer.h"

#include <errno.h>
#include <stdlib.h>

#include <zstd.h>

#include "common/output.h"

#define CHUNK_BYTES (128u << 10)

/* Compresses @in and writes it; @mode says whether more follows.  0 or a negative errno. */
static int compress(ZSTD_CCtx *context, ZSTD_inBuffer in, ZSTD_EndDirective mode, FILE *to)
{
	static char out_bytes[CHUNK_BYTES];
	size_t left;

	do {
		ZSTD_outBuffer out = { .dst = out_bytes, .size = sizeof(out_bytes) };

		left = ZSTD_compressStream2(context, &out, &in, mode);
		if (ZSTD_isError(left))
			return -ENOMEM; /* the one failure of a stream with valid parameters */
		if (fwrite(out_bytes, 1, out.pos, to) != out.pos)
			return -ENOMEM;
	} while (mode == ZSTD_e_end ? left != 0 : in.pos < in.size);
	return 0;
}

static int compress_file(ZSTD_CCtx *context, FILE *from, FILE *to)
{
	static char bytes[CHUNK_BYTES];
	int error = 0;
	size_t nr;

	if (fflush(from) != 0 || fseek(from, 0, SEEK_SET) != 0)
		return -errno;
	while (error == 0 && (nr = fread(bytes, 1, sizeof(bytes), from)) != 0)
		error = compress(context, (ZSTD_inBuffer){ .src = bytes, .size = nr },
				 ZSTD_e_continue, to);
	if (error == 0 && ferror(from))
		error = -EIO;
	return error != 0 ? error
			  : compress(context, (ZSTD_inBuffer){ .src = bytes }, ZSTD_e_end, to);
}

int katr_compress(const char *path, const char *header, size_t header_nr, FILE *records)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_inBuffer in = { .src = header, .size = header_nr };
	struct output output;
	int error = -ENOMEM, ended;

	if (output_begin(&output) != NULL && context != NULL &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))
		error = compress(context, in, ZSTD_e_continue, output.file);
	if (error == 0)
		error = compress_file(context, records, output.file);
	ZSTD_freeCCtx(context);
	if (error != 0) {
		if (output.file != NULL)
			fclose(output.file);
		free(output.text);
		return error;
	}
	ended = output_end(&output, path);
	return ended;
}
