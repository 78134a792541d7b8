/* SPDX-License-Identifier: MIT */
/* instance/conf.h - where the default instance's options come from: conf.c */
#ifndef INSTANCE_CONF_H
#define INSTANCE_CONF_H

#include <stdbool.h>

struct text;

/* Room for the system's file and a NUL.  A line for each option takes a third of it.  Of a longer file the end is not read. */
#define CONF_FILE_BYTES 4096u

/* A text of options, from one place. */
struct conf_part {
	const char *text;  /* "key:value,key:value"; lives as long as the process */
	const char *where; /* a variable, quire_conf, or a file */
	unsigned line;	   /* of a file; 0: none */
};

/*
 * Calls @take with each text, the strongest last: each line of the system's file, what the program itself says, and
 * the environment variable QUIRE_CONF.  The caller is alone: it makes the process's instance.
 */
void conf_read(void (*take)(const struct conf_part *part, void *arg), void *arg);
/* The lines of a file like the system's, whose text is cut to pieces; @where is the file. */
void conf_take_lines(char *file, const char *where,
		     void (*take)(const struct conf_part *part, void *arg), void *arg);
/* Appends " in /etc/quire.conf:3" */
void conf_put_place(struct text *text, const struct conf_part *part);

#endif
