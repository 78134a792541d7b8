/* SPDX-License-Identifier: MIT */
/* errno.h - of the calling thread */
#ifndef BARE_ERRNO_H
#define BARE_ERRNO_H

#include "base/errno.h"
#include "machine/bare/process.h"

#define errno (*process_errno_place())

#endif
