/* SPDX-License-Identifier: MIT */
/* subject.c - the commands of a process that measures one subject; see subject.h */
#include <stdio.h>
#include <string.h>
#include "harness/subject.h"

static const struct command commands[] = {
	{ "page_pairs", "PATTERN ORDER THREADS TOUCH MS", 5, page_pairs },
	{ "area_pairs", "PATTERN BYTES THREADS WRITTEN MS FIRST", 6, area_pairs },
	{ "area_replace", "BYTES FIRST STEADY", 3, area_replace },
	{ "area_sparse", "BYTES FIRST REPLACEMENTS WRITTEN", 4, area_sparse },
	{ "area_half", "BYTES LOCK USAGE", 3, area_half },
	{ "area_tail", "MS purging|any", 2, area_tail },
	{ "area_tlb", "BYTES FREES", 2, area_tlb },
	{ "release", "pages|areas ask|idle LOCK USAGE", 4, release_child },
};

int subject_main(const struct subject *subject, int argc, char **argv)
{
	const char *refused;

	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (strcmp(argv[1], command->name) != 0)
			continue;
		if ((unsigned)argc - 2 != command->arguments_nr)
			return fprintf(stderr, "quire-bench: %s takes %s\n", command->name,
				       command->arguments),
			       2;
		refused = subject->setup(argv[0]);
		if (refused)
			return printf("refused %s\n", refused), 0;
		return command->run(subject, argv + 2);
	}
	fprintf(stderr, "quire-bench: not a command of a process that measures\n");
	return 2;
}
