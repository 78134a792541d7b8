/* SPDX-License-Identifier: MIT */
/* broken.c - what a finding has broken: the words of docs/races.md, docs/invariants.md and of the detectors */
#include "broken.h"

#include <quire/quire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_word(const char *list, const char *word)
{
	size_t bytes = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
		if (at != list && at[-1] == ' ' && at[bytes] == ' ')
			return true;
	return false;
}

/* "--mutant NAME", or "--patch FOLDER/NAME.patch", among other options. */
static void mutant_of(const char *option, char mutant[96])
{
	const char *named = option != NULL ? strstr(option, "--mutant ") : NULL;
	const char *patch = option != NULL ? strstr(option, "--patch ") : NULL;
	const char *name = "";

	if (named != NULL) {
		name = named + strlen("--mutant ");
	} else if (patch != NULL) {
		name = patch + strlen("--patch ");
		name = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
	}
	snprintf(mutant, 96, "%s", name);
	mutant[strcspn(mutant, ". ")] = '\0';
	for (char *c = mutant; *c != '\0'; c++)
		*c = *c == '-' ? '_' : *c;
}

const struct race_rule *broken_race(const char *scenario, const char *option)
{
	char mutant[96];

	mutant_of(option, mutant);
	for (const struct race_rule *r = race_rules; mutant[0] != '\0' && r->label != NULL; r++)
		if (has_word(r->mutants, mutant))
			return r;
	for (const struct race_rule *r = race_rules; r->label != NULL; r++)
		if (has_word(r->scenarios, scenario))
			return r;
	return NULL;
}

static const struct {
	const char *rule, *meaning;
} meanings[] = {
	{ "data race",
	  "Two CPUs use one location, one of them writes it, one of the accesses is a "
	  "plain one, and nothing (no lock, no release with its acquire, no fence) orders "
	  "the two." },
	{ "deadlock",
	  "Each of these tasks waits for a lock that another one of them holds, or for a "
	  "wake-up that nobody is left to send." },
	{ "livelock", "The tasks go on for ever without an end." },
	{ "stale translation", "A CPU reached, through an address translation that it had cached, "
			       "memory that was given back meanwhile: no flush came in between." },
	{ "access after unback", "An address was used whose memory was being given back." },
	{ "access to unmapped page", "An address was used where no memory is committed." },
	{ "alias of a page that is gone",
	  "A page was used through a second mapping after its memory "
	  "was given back." },
	{ "guard page", "A guard page was touched: something ran off the end of its area." },
	{ "use after free", "An object was used after its life had ended." },
	{ "two owners", "One page was handed out to two users at the same time." },
	{ "two mappings", "One address was mapped twice." },
	{ "lock rank", "A lock was taken against the order of the locks (enum lock_rank)." },
	{ "unlock not held", "A lock was released that its releaser did not hold." },
	{ "lock held at the end", "A task ended and had not released a lock." },
	{ "sleeping in a handler", "A handler took a lock that may sleep." },
	{ "sleeping under a spin lock", "A lock that may sleep was taken under a spin lock." },
	{ "waiting is forbidden",
	  "A call that must not wait (QUIRE_NOWAIT) took a lock that may." },
	{ "lock with interrupts off", "On RT a lock that may sleep was taken with interrupts "
				      "switched off." },
	{ "filled again",
	  "Memory that was given back can be filled again by the system's huge pages." },
	{ "wild access", "An address was used that is no object's." },
	{ "unseen write", "A write passed no hook, so later runs begin with it, and what else they "
			  "find may be no more than that. gcc "
			  "shows no write of a structure that a call returns straight into memory; "
			  "what is not compiled for the machine "
			  "shows none." },
	{ "misuse",
	  "The library took a correct call for a wrong one: its books were broken before." },
};

const char *broken_meaning(const struct failure *failure)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(meanings[i].rule, failure->rule) == 0)
			return meanings[i].meaning;
	return NULL;
}

/* "page_scene_check:122: quire_verify(scene->q) == 0: 105 and 0". */
const char *broken_invariant(const struct failure *failure, char label[8])
{
	static const char modules[] = "?BVPC";
	const char *found = strstr(failure->text, "verify");
	int number = 0;

	found = found != NULL ? strstr(found, "== 0: ") : NULL;
	if (found != NULL)
		number = atoi(found + strlen("== 0: "));
	if (number < 100 || number >= 500 || strcmp(quire_rule_text(number), "no such rule") == 0)
		return NULL;
	snprintf(label, 8, "%c%d", modules[number / 100], number % 100);
	return quire_rule_text(number);
}
