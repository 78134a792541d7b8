/* SPDX-License-Identifier: MIT */
/* sanitizer.h - whether this is a sanitizer build; gcc and clang announce it differently */
#ifndef MACHINE_LINUX_SANITIZER_H
#define MACHINE_LINUX_SANITIZER_H

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define MACHINE_TSAN 1
#else
#define MACHINE_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define MACHINE_ASAN 1
#else
#define MACHINE_ASAN 0
#endif

#endif
