/* SPDX-License-Identifier: MIT */
/* Nobody initialised what is asked whether it is zero. */
#include <quire/percpu_ref.h>

static struct quire_percpu_ref ref;

int main(void)
{
	(void)quire_percpu_ref_is_zero(&ref);
	return 0;
}
