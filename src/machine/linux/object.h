/* SPDX-License-Identifier: MIT */
/* object.h - keeping the object that contains this code loaded; process.h has the rest of
 * object.c */
#ifndef MACHINE_LINUX_OBJECT_H
#define MACHINE_LINUX_OBJECT_H

/* Keeps the library that contains this code loaded, even after dlclose().  The caller holds no
 * lock; never waits for another caller.  If the code is part of the program, nothing has to be
 * done. */
void object_pin(void);

#endif
