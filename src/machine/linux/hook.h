/* SPDX-License-Identifier: MIT */
/* hook.h - the hook of check_set_hook() */
#ifndef MACHINE_LINUX_HOOK_H
#define MACHINE_LINUX_HOOK_H

struct quire_stop;

/* Calls it, if there is one and no other stop did.  Any context. */
void hook_call(const struct quire_stop *stop);

#endif
