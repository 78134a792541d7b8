/* SPDX-License-Identifier: MIT */
/*
 * replay_clock.h - the time that the allocator sees: the system's, or the recording's
 *
 * A replay by one thread takes a second for a minute of recording, and must give the same figures
 * each time.  So the allocator's timers use the recorded time.  These functions are in one file
 * with a clock_now_ns() that replaces the machine's when the command is linked; a program that
 * calls none of them keeps the machine's own.
 */
#ifndef QUIRE_TOOL_REPLAY_CLOCK_H
#define QUIRE_TOOL_REPLAY_CLOCK_H

#include <stdint.h>

/* From now on it is @ns, until set again.  Time must not go back. */
void replay_clock_set(uint64_t ns);
/* From now on it is the system's time. */
void replay_clock_release(void);

#endif
