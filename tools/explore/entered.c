/* SPDX-License-Identifier: MIT */
/*
 * entered.c - which functions of the core a run of quire-explore enters
 *
 * scripts/sweep compiles the core with -finstrument-functions and links this beside it.  At the end the
 * addresses are written to standard error, one a line: relative to main(), because the program may be anywhere.
 */
#include <stdint.h>
#include <stdio.h>

#define PLACES 65536u /* a power of two, several times the number of functions */

int main(int argc, char **argv);
void __cyg_profile_func_enter(void *function, void *site);
void __cyg_profile_func_exit(void *function, void *site);

static uintptr_t entered[PLACES];

void __cyg_profile_func_enter(void *function, void *site)
{
	uintptr_t place = ((uintptr_t)function >> 4) % PLACES;

	(void)site;
	while (entered[place] != 0 && entered[place] != (uintptr_t)function)
		place = (place + 1) % PLACES;
	entered[place] = (uintptr_t)function;
}

void __cyg_profile_func_exit(void *function, void *site)
{
	(void)function;
	(void)site;
}

static __attribute__((destructor)) void write_entered(void)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (entered[i] != 0)
			fprintf(stderr, "entered %ld\n",
				(long)((intptr_t)entered[i] - (intptr_t)&main));
}
