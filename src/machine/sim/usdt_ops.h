/* SPDX-License-Identifier: MIT */
/* usdt_ops.h - empty: the values are not even read, so probes change no schedule */
#ifndef MACHINE_SIM_USDT_OPS_H
#define MACHINE_SIM_USDT_OPS_H

#include <stdint.h>

#define USDT_OF(n, name, ...) ((void)sizeof((uint64_t[]){ __VA_ARGS__ }))

#endif
