/* SPDX-License-Identifier: MIT */
/* A foreign address is freed before the first allocation of the program. */
#include "block.h"

static long variable;

int main(void)
{
	free(hidden(&variable));
	return look();
}
