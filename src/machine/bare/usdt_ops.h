/* SPDX-License-Identifier: MIT */
/* usdt_ops.h - empty: nobody traces this machine */
#ifndef MACHINE_BARE_USDT_OPS_H
#define MACHINE_BARE_USDT_OPS_H

#include <stdint.h>

#define USDT_OF(n, name, ...) ((void)sizeof((uint64_t[]){ __VA_ARGS__ }))

#endif
