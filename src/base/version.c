/* SPDX-License-Identifier: MIT */
/* base/version.c - the version of the library; meson.build checks that its own is the header's */
#include <quire/quire.h>

unsigned quire_version(void)
{
	return QUIRE_VERSION;
}
