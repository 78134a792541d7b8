/* SPDX-License-Identifier: MIT */
#include <quire/percpu_counter.h>
#include <quire/quire.h>
#include <stdio.h>

int main(void)
{
	struct quire_percpu_counter bytes;

	if (quire_percpu_counter_init(quire_default(), &bytes, 0, 0) != 0)
		return 1;
	for (int i = 0; i < 1000; i++)
		quire_percpu_counter_add(&bytes, 100); /* any thread, any signal handler */
	/* A read may be off by what CPUs have not told yet; a sum looks at each of them. */
	printf("about %lld bytes, exactly %lld\n", (long long)quire_percpu_counter_read(&bytes),
	       (long long)quire_percpu_counter_sum(&bytes));
	quire_percpu_counter_destroy(&bytes);
	return 0;
}
