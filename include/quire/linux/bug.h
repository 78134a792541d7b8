/* SPDX-License-Identifier: MIT */
/* linux/bug.h - WARN() prints a line, and the module has failed; BUG() ends the process */
#ifndef QUIRE_LINUX_BUG_H
#define QUIRE_LINUX_BUG_H

#include <linux/printk.h>
#include <stdbool.h>
#include <stdlib.h>

/* What module.h's main() asks for. */
extern unsigned quire_linux_warnings;
QUIRE_LINUX_SHARED_ unsigned quire_linux_warnings;

/* Counts a warning, and says where it is. */
static inline void quire_linux_warn_(const char *file, int line)
{
	(void)__atomic_fetch_add(&quire_linux_warnings, 1, __ATOMIC_RELAXED);
	printk("WARNING: %s:%d\n", file, line);
}

#define WARN(condition, format, ...)                                                               \
	({                                                                                         \
		bool quire_warns_ = !!(condition);                                                 \
		if (unlikely(quire_warns_)) {                                                      \
			quire_linux_warn_(__FILE__, __LINE__);                                     \
			printk(format "\n", ##__VA_ARGS__);                                        \
		}                                                                                  \
		unlikely(quire_warns_);                                                            \
	})
#define WARN_ON(condition)                                                                         \
	({                                                                                         \
		bool quire_warns_ = !!(condition);                                                 \
		if (unlikely(quire_warns_))                                                        \
			quire_linux_warn_(__FILE__, __LINE__);                                     \
		unlikely(quire_warns_);                                                            \
	})
#define WARN_ONCE(condition, format, ...)                                                          \
	({                                                                                         \
		static bool quire_warned_;                                                         \
		bool quire_once_ = !!(condition);                                                  \
		if (unlikely(quire_once_) &&                                                       \
		    !__atomic_exchange_n(&quire_warned_, true, __ATOMIC_RELAXED)) {                \
			quire_linux_warn_(__FILE__, __LINE__);                                     \
			printk(format "\n", ##__VA_ARGS__);                                        \
		}                                                                                  \
		unlikely(quire_once_);                                                             \
	})
#define WARN_ON_ONCE(condition) WARN_ONCE(condition, "%s", #condition)

#define BUG()                                                                                      \
	do {                                                                                       \
		printk("BUG: %s:%d\n", __FILE__, __LINE__);                                        \
		abort();                                                                           \
	} while (0)
#define BUG_ON(condition)                                                                          \
	do {                                                                                       \
		if (unlikely(condition))                                                           \
			BUG();                                                                     \
	} while (0)
#define BUILD_BUG_ON(condition)		  _Static_assert(!(condition), #condition)
#define BUILD_BUG_ON_MSG(condition, text) _Static_assert(!(condition), text)

#endif
