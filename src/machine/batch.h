/* SPDX-License-Identifier: MIT */
/*
 * batch.h - how much is done at once
 *
 * What follows a full batch, the next one, is seldom reached where a batch holds hundreds.  So the constants that bound
 * one are asked for here, and a scenario of the simulated machine may lower them.
 */
#ifndef MACHINE_BATCH_H
#define MACHINE_BATCH_H

#include "batch_ops.h" /* the machine's inline part: batch_most(@most), which is @most or less, and not 0 */

#endif
