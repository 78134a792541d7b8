/* SPDX-License-Identifier: MIT */
/* batch_ops.h - batches are as large as the scenario lets them be (scene.c) */
#ifndef MACHINE_SIM_BATCH_OPS_H
#define MACHINE_SIM_BATCH_OPS_H

unsigned batch_most(unsigned most);

#endif
