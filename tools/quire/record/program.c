/* SPDX-License-Identifier: MIT */
/*
 * program.c - quire record -- PROGRAM: the calls of a program on Quire
 *
 * The library in the program writes into a spool, OUTPUT.spool, out of which this command moves segments meanwhile; when the program
 * has ended, however it did, the spool becomes the recording.  If this command is killed, the spool stays, and
 * `quire record --recover` does the rest.
 */
#include "record/record.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/program_convert.h"
#include "record/drain.h"
#include "run/child.h"
#include "run/identity.h"
#include "run/preload.h"
#include "run/program.h"
#include "run/run.h"

struct recorder {
	char spool[PATH_MAX];
	struct drain drain;
	struct preload preload;
	struct program program;
	struct child child;
	struct identity identity;
};

static enum exit_status say(int status, const char *what, int error)
{
	fprintf(stderr, "quire record: %s: %s\n", what, strerror(error < 0 ? -error : error));
	return (enum exit_status)status;
}

/* What is to be known before anything is made. */
static bool find(struct recorder *recorder, const struct record_request *request,
		 enum exit_status *status)
{
	char error[3 * PATH_MAX];
	int refused = program_find(&recorder->program, request->program[0]);

	*status = (enum exit_status)refused;
	if (refused != 0) {
		fprintf(stderr, "quire record: %s\n", recorder->program.error);
		return false;
	}
	*status = EXIT_USAGE;
	if (!preload_find(&recorder->preload, error, sizeof(error))) {
		fprintf(stderr, "quire record: %s\n", error);
		return false;
	}
	if (snprintf(recorder->spool, sizeof(recorder->spool), "%s.spool", request->output) <
	    PATH_MAX)
		return true;
	say(EXIT_USAGE, request->output, ENAMETOOLONG);
	return false;
}

static int make_spool(struct recorder *recorder, const struct record_request *request)
{
	struct drain_request drain = {
		.path = recorder->spool,
		.buffer_bytes = request->buffer_bytes,
		.children = request->children,
		.cookie = recorder->preload.header->cookie,
		.program = request->program,
	};
	int error = drain_init(&recorder->drain, &drain);

	if (error == 0)
		recorder->preload.header->recording_fd = (uint32_t)recorder->drain.fd;
	return error;
}

static enum exit_status not_started(const struct recorder *recorder, int error, bool is_exec)
{
	int status = EXIT_FOUND;

	if (is_exec)
		status = error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	return say(status, recorder->program.path, error);
}

static void look(void *arg, uint64_t now_ns)
{
	struct recorder *recorder = arg;

	(void)now_ns;
	identity_look(&recorder->identity, recorder->child.pid);
}

/* Until the program has ended.  Returns 0, or with *@status how it could not be begun. */
static int watch(struct recorder *recorder, const struct record_request *request,
		 struct child_end *end, enum exit_status *status)
{
	struct child_request child = { .path = recorder->program.path,
				       .arguments = request->program,
				       .preload = &recorder->preload };
	bool is_exec;
	int error = child_start(&recorder->child, &child, &is_exec);

	if (error != 0) {
		*status = not_started(recorder, error, is_exec);
		return -1;
	}
	error = drain_begin(&recorder->drain);
	if (error != 0) /* all is moved at the end */
		(void)say(EXIT_FOUND, "no thread to move events; some may be lost", error);
	child_watch(&recorder->child, look, recorder, end);
	return 0;
}

static enum exit_status finish(struct recorder *recorder, const struct record_request *request,
			       const struct child_end *end)
{
	bool has_begun = recorder->drain.header->processes_nr != 0;
	int error = drain_end(&recorder->drain), missing;

	if (error != 0) {
		(void)say(EXIT_UNWRITTEN, recorder->spool, error);
		fprintf(stderr, "quire record: make room, then: quire record --recover %s -o %s\n",
			recorder->spool, request->output);
		return EXIT_UNWRITTEN;
	}
	if (!has_begun) {
		unlink(recorder->spool);
		fprintf(stderr,
			"quire record: %s: Quire did not start in it, or could not open %s (its "
			"status was %d)\n",
			recorder->program.path, recorder->spool, end->status);
		return (enum exit_status)EXIT_NOT_ALIVE;
	}
	if (identity_is_other(&recorder->identity))
		fprintf(stderr,
			"quire record: the program became another one, which ran without Quire\n");
	missing = program_convert(recorder->spool, request->output);
	if (missing < 0) {
		fprintf(stderr,
			"quire record: %s has the events: quire record --recover %s -o FILE\n",
			recorder->spool, recorder->spool);
		return EXIT_UNWRITTEN;
	}
	unlink(recorder->spool);
	return (enum exit_status)(end->status == 0 && missing != 0 ? EXIT_UNWRITTEN : end->status);
}

enum exit_status record_program(const struct record_request *request)
{
	static struct recorder recorder;
	struct child_end end;
	enum exit_status status;
	int error;

	recorder = (struct recorder){ .preload = { .is_recorded = true, .fd = -1 } };
	if (!find(&recorder, request, &status))
		return status;
	recorder.preload.children = request->children;
	error = preload_share(&recorder.preload);
	if (error != 0)
		return say(EXIT_FOUND, "cannot share memory", error);
	error = make_spool(&recorder, request);
	if (error != 0) {
		if (error == -EEXIST)
			fprintf(stderr,
				"quire record: %s is there, of a recording that was cut off: quire "
				"record --recover %s -o FILE, or remove it\n",
				recorder.spool, recorder.spool);
		else
			(void)say(EXIT_FOUND, recorder.spool, error);
		return EXIT_FOUND;
	}
	recorder.identity.owner = &recorder.preload.header->owner[0];
	if (watch(&recorder, request, &end, &status) == 0)
		status = finish(&recorder, request, &end);
	else
		unlink(recorder.spool);
	drain_fini(&recorder.drain);
	return status;
}

enum exit_status record_recover(const struct record_request *request)
{
	int missing = program_convert(request->recover, request->output);

	if (missing < 0)
		return EXIT_USAGE;
	return missing != 0 ? EXIT_UNWRITTEN : EXIT_OK;
}
