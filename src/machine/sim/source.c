/* SPDX-License-Identifier: MIT */
/*
 * source.c - which lines of which functions a program address belongs to, as addr2line knows them
 *
 * Most scenarios ask, and addr2line takes long to read the debug information of this program: so there is one for all
 * of them, which ends with this process.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/sim/internal.h"

/* So few that a question of 20 bytes for each is sent at once, though nobody reads the answers yet. */
#define ASKED_AT_ONCE 100u

extern char **environ;

/* Starts addr2line, which reads from a socket and answers to it; NULL: it cannot be. */
static FILE *start(void)
{
	char program[64];
	char *arguments[] = { "addr2line", "-a", "-f", "-i", "-e", program, NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], error;
	pid_t child;

	snprintf(program, sizeof(program), "/proc/%d/exe", (int)getpid());
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawnp(&child, "addr2line", &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (error == 0)
		return fdopen(ends[0], "r");
	close(ends[0]);
	return NULL;
}

/* With -a -f -i an address is a line "0x...", then pairs of lines, function and place, from the innermost frame
 * out.  The last address is 0, which is in no function: one pair. */
static void read_frames(FILE *lines, void (*tell)(const struct source_frame *frame))
{
	char line[512], function[64] = "";
	struct source_frame frame = { .pc = 0, .function = function, .where = line };
	uintptr_t address = 1;
	unsigned row = 0;

	while ((address != 0 || row != 2) && fgets(line, sizeof(line), lines) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0x", 2) == 0) {
			address = strtoull(line, NULL, 16);
			frame.pc = address + 1 + scene_image_base();
			row = 0;
		} else if (row++ % 2 == 0) {
			snprintf(function, sizeof(function), "%.63s", line);
		} else if (address != 0 && strrchr(line, ':') != NULL) {
			line[strcspn(line, " ")] = '\0'; /* "(discriminator 3)" */
			tell(&frame);
		}
	}
}

void source_ask(const uintptr_t *pcs, unsigned nr, void (*tell)(const struct source_frame *frame))
{
	static FILE *addr2line;
	char question[(ASKED_AT_ONCE + 1) * 20];

	if (addr2line == NULL)
		addr2line = start();
	for (unsigned first = 0; addr2line != NULL && first < nr; first += ASKED_AT_ONCE) {
		size_t used = 0;

		/* An address is where its call returns to. */
		for (unsigned i = first; i < nr && i < first + ASKED_AT_ONCE; i++)
			used += (size_t)snprintf(question + used, sizeof(question) - used,
						 "0x%zx\n",
						 (size_t)(pcs[i] - 1 - scene_image_base()));
		used += (size_t)snprintf(question + used, sizeof(question) - used, "0x0\n");
		if (send(fileno(addr2line), question, used, MSG_NOSIGNAL) != (ssize_t)used)
			return;
		read_frames(addr2line, tell);
	}
}
