/* SPDX-License-Identifier: MIT */
/* instance/conf.h - where the default instance's options come from: conf.c */
#ifndef INSTANCE_CONF_H
#define INSTANCE_CONF_H

#include <stddef.h>

struct text;

/* Room for the system's file and a NUL.  A line for each option takes a third of it. */
#define CONF_FILE_BYTES 4096u

/* A text of options, from one place. */
struct conf_part {
	const char *text;  /* "key:value,key:value"; lives as long as the process */
	const char *where; /* a variable, quire_conf, or a file */
	unsigned line;	   /* of a file; 0: none */
	const char
		*error; /* NULL, or what is wrong with the place, of which there is no text then */
};

/*
 * Calls @take with each text, the strongest last: each line of the system's file, what the program itself says, and
 * the environment variable QUIRE_CONF.  The caller is alone: it makes the process's instance.
 */
void conf_read(void (*take)(const struct conf_part *part, void *arg), void *arg);
/* Calls @take with @text, unless it is NULL. */
void conf_take_text(const char *text, const char *where,
		    void (*take)(const struct conf_part *part, void *arg), void *arg);
/* The lines of a file like the system's, of which @bytes were read into @file, with a NUL behind them.  The text is cut to pieces. If
 * it fills its room it may not be all: then a line that has no end is none, and the error is the last part. */
void conf_take_lines(char file[CONF_FILE_BYTES], size_t bytes, const char *where,
		     void (*take)(const struct conf_part *part, void *arg), void *arg);
/* Appends " in /etc/quire.conf:3" */
void conf_put_place(struct text *text, const struct conf_part *part);

#endif
