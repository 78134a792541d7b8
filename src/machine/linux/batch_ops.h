/* SPDX-License-Identifier: MIT */
/* batch_ops.h - batches are as large as the code says */
#ifndef MACHINE_LINUX_BATCH_OPS_H
#define MACHINE_LINUX_BATCH_OPS_H

static inline unsigned batch_most(unsigned most)
{
	return most;
}

#endif
