/* SPDX-License-Identifier: MIT */
/* pressure.h - the worker's thread asleep and watching for memory pressure: pressure.c */
#ifndef MACHINE_LINUX_PRESSURE_H
#define MACHINE_LINUX_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/work.h"

void pressure_init(struct work_watch *watch);
/* The rest but pressure_wake() is for the worker's thread. */
/* Opens what is watched if that is wanted and not open.  After a refusal not before a minute. */
void pressure_open(struct work_watch *watch, uint64_t now_ns);
bool pressure_is_open(const struct work_watch *watch);
/* Sleeps until there is pressure, until pressure_wake(), or until @due_ns, which is later than
 * @now_ns.  May return for no reason. */
void pressure_sleep(struct work_watch *watch, uint64_t now_ns, uint64_t due_ns);
/* Ends the sleep that is under way, or the next one.  Legal in a signal handler. */
void pressure_wake(struct work_watch *watch);
/* Also for a child of fork, which has copies of its parent's descriptors. */
void pressure_close(struct work_watch *watch);

#endif
