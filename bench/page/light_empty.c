/* SPDX-License-Identifier: MIT */
/* light_empty.c - the empty library that quire-bench-empty loads in Quire's place */
int bench_empty_library(void);

int bench_empty_library(void)
{
	return 0;
}
