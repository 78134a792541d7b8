/* SPDX-License-Identifier: MIT */
#include <quire/profile.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	void *blocks[1000];

	/* On another malloc the calls are not there. */
	if (quire_profile_start == NULL || quire_profile_start(64 << 10) != 0)
		return 1;
	for (int i = 0; i < 1000; i++)
		if ((blocks[i] = malloc(10000)) == NULL)
			return 1;
	if (quire_profile_write("heap.pb.gz") != 0)
		return 1;
	puts("heap.pb.gz says who holds what");
	for (int i = 0; i < 1000; i++)
		free(blocks[i]);
	return quire_profile_stop() != 0;
}
