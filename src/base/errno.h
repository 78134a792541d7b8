/* SPDX-License-Identifier: MIT */
/* errno.h - the error numbers the core returns, negative, in Linux's numbering */
#ifndef BASE_ERRNO_H
#define BASE_ERRNO_H

#ifndef EINVAL /* a file of machine/linux may have the system's, which are the same */
#define EPERM	   1
#define E2BIG	   7
#define EAGAIN	   11
#define ENOMEM	   12
#define EBUSY	   16
#define EINVAL	   22
#define ENOSPC	   28
#define ENOTSUP	   95
#define EOWNERDEAD 130
#endif

#endif
