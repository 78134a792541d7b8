/* SPDX-License-Identifier: MIT */
/* linux/printk.h - the kernel's log: standard error */
#ifndef QUIRE_LINUX_PRINTK_H
#define QUIRE_LINUX_PRINTK_H

#include <linux/compiler.h>
#include <stdio.h>

#ifndef KBUILD_MODNAME
#define KBUILD_MODNAME "module"
#endif
#ifndef pr_fmt
#define pr_fmt(format) format
#endif

/* Levels: all are printed. */
#define KERN_EMERG   ""
#define KERN_ALERT   ""
#define KERN_CRIT    ""
#define KERN_ERR     ""
#define KERN_WARNING ""
#define KERN_NOTICE  ""
#define KERN_INFO    ""
#define KERN_DEBUG   ""
#define KERN_CONT    ""
#define KERN_DEFAULT ""

#define printk(...)	       ((void)fprintf(stderr, __VA_ARGS__))
#define pr_emerg(format, ...)  printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_alert(format, ...)  printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_crit(format, ...)   printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_err(format, ...)    printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_warn(format, ...)   printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_notice(format, ...) printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_info(format, ...)   printk(pr_fmt(format), ##__VA_ARGS__)
#define pr_cont(format, ...)   printk(format, ##__VA_ARGS__)
/* Off, as in a kernel without DEBUG; the arguments are checked all the same. */
#define pr_debug(format, ...)                                                                      \
	do {                                                                                       \
		if (0)                                                                             \
			printk(pr_fmt(format), ##__VA_ARGS__);                                     \
	} while (0)

#endif
