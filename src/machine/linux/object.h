/* SPDX-License-Identifier: MIT */
/* object.h - keeping the object that contains this code; what else object.c has is in process.h */
#ifndef MACHINE_LINUX_OBJECT_H
#define MACHINE_LINUX_OBJECT_H

/* The library that contains this code stays loaded from here on, whoever closes it.  No lock may be
 * held; never waits for another caller.  The program itself and static ones need nothing. */
void object_pin(void);

#endif
