/* SPDX-License-Identifier: MIT */
/* tables.h - what is made of the commands' tables */
#ifndef QUIRE_TABLES_H
#define QUIRE_TABLES_H

#include <stdio.h>

#include "common/arguments.h"

void print_bash(FILE *file);
void print_zsh(FILE *file);
void print_summary(FILE *file, const struct command *command);
void print_synopsis(FILE *file, const struct command *command);
void print_about(FILE *file, const struct command *command);
void print_options(FILE *file, const struct command *command);
void print_statuses(FILE *file, const struct command *command);
void print_commands(FILE *file);
/* The options of an instance: instance/options.h. */
void print_keys(FILE *file);
/* False: no module is called so. */
bool print_figures(FILE *file, const char *module);

#endif
