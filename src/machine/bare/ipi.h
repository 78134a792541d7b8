/* SPDX-License-Identifier: MIT */
/* ipi.h - asking other CPUs for something and waiting for their answers */
#ifndef MACHINE_BARE_IPI_H
#define MACHINE_BARE_IPI_H

#include <stdbool.h>

/*
 * When it returns, every other CPU has taken an interrupt since the call, or has answered by hand where it spun
 * with interrupts masked: no sequence that began on it before the call can still commit.  With @flush its
 * translations are also forgotten, and this CPU's.
 */
void ipi_all(bool flush);
/* The same of one CPU, which may be this one or none. */
void ipi_one(unsigned number);
/* This CPU's answer, with interrupts masked. */
void ipi_answer(void);

#endif
