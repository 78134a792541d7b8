/* SPDX-License-Identifier: MIT */
/* sequence_afl.c - sequences that AFL++ makes, thousands in one process; compiled by afl-clang-fast (scripts/fuzz) */
#include <unistd.h>
#include "fuzz/sequence.h"

#define SEQUENCES_NR 2000

__AFL_FUZZ_INIT();

int main(void)
{
	const unsigned char *bytes;

	__AFL_INIT();
	bytes = __AFL_FUZZ_TESTCASE_BUF;
	while (__AFL_LOOP(SEQUENCES_NR))
		sequence_run(bytes, (size_t)__AFL_FUZZ_TESTCASE_LEN);
	return 0;
}
