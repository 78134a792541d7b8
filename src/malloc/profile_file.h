/* SPDX-License-Identifier: MIT */
/* malloc/profile_file.h - the file and the signal that the environment asks for: linux/profile.c */
#ifndef MALLOC_PROFILE_FILE_H
#define MALLOC_PROFILE_FILE_H

#include <stddef.h>

/* Names the file. */
#define PROFILE_VARIABLE "QUIRE_PROFILE"

/* When the heap is made: learns where to write (QUIRE_PROFILE), and has signal @number, 0 for none, turn the profile on, and off with a
 * file. */
void profile_file_begin(unsigned number);
/* In a child of fork: no call writes. */
void profile_file_fork_child(void);
/* What is mapped in this process now, as a text in @maps. */
void profile_file_tell_maps(char *maps, size_t bytes);
/* The process ends: writes the file, if one is named and there is a profile. */
void profile_file_end(void);

#endif
