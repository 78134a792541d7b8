/* SPDX-License-Identifier: MIT */
/* The instance: each misuse ends with its line. */
#include "misuse/misuse_case.h"

#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "shrinker_unregistered_twice", "without its pair" AT("quire_shrinker_unregister") },
	{ "destroyed_by_shrinker", "destroyed by its shrinker" AT("quire_destroy") },
	{ "stopped_by_shrinker", "stopped by its shrinker" AT("quire_worker_stop") },
};

int main(int argc, char **argv)
{
	return misuse_main(misuses, MISUSES_NR, argv + 1, argc - 1);
}
