/* SPDX-License-Identifier: MIT */
/* source.c - which lines of which functions a program address belongs to, as addr2line knows them */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/sim/internal.h"

#define ASKED_AT_ONCE 1000u

/* With -a -f -i an address is a line "0x...", then pairs of lines, function and place, from the innermost frame
 * out. */
static void read_frames(FILE *lines, void (*tell)(const struct source_frame *frame))
{
	char line[512], function[64] = "";
	struct source_frame frame = { .pc = 0, .function = function, .where = line };
	unsigned row = 0;

	while (fgets(line, sizeof(line), lines) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0x", 2) == 0) {
			frame.pc = strtoull(line, NULL, 16) + 1 + scene_image_base();
			row = 0;
		} else if (row++ % 2 == 0) {
			snprintf(function, sizeof(function), "%.63s", line);
		} else if (strrchr(line, ':') != NULL) {
			line[strcspn(line, " ")] = '\0'; /* "(discriminator 3)" */
			tell(&frame);
		}
	}
}

void source_ask(const uintptr_t *pcs, unsigned nr, void (*tell)(const struct source_frame *frame))
{
	static char command[ASKED_AT_ONCE * 20 + 256];

	for (unsigned first = 0; first < nr; first += ASKED_AT_ONCE) {
		size_t used = (size_t)snprintf(command, sizeof(command),
					       "addr2line -a -f -i -e /proc/%d/exe", (int)getpid());
		FILE *lines;

		/* An address is where its call returns to. */
		for (unsigned i = first; i < nr && i < first + ASKED_AT_ONCE; i++)
			used += (size_t)snprintf(command + used, sizeof(command) - used, " 0x%zx",
						 (size_t)(pcs[i] - 1 - scene_image_base()));
		snprintf(command + used, sizeof(command) - used, " 2>/dev/null");
		lines = popen(command, "r");
		if (lines == NULL)
			return;
		read_frames(lines, tell);
		pclose(lines);
	}
}
