/* SPDX-License-Identifier: MIT */
/*
 * sequence.h - a string of bytes as a sequence of malloc()'s calls, beside a shadow heap
 *
 * The shadow knows of each block its place, its size and what was written to it.  Each answer is checked: blocks do
 * not overlap, are aligned, keep their content until they are freed, and read zero where they should.
 *
 *	byte 0     low 4 bits: the call (enum in sequence.c); the others: the high bits of the size
 *	byte 1     the slot of the block
 *	byte 2, 3  size, or alignment, by the call
 *
 * Every string is a sequence: a fuzzer and a generator of random bytes find what they may do by trying.
 */
#ifndef FUZZ_SEQUENCE_H
#define FUZZ_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

#define SEQUENCE_CALL_BYTES 4u

/* Runs the calls, then frees all.  Returns the number of calls; aborts, with a line, where an answer is wrong. */
size_t sequence_run(const uint8_t *bytes, size_t nr);

#endif
