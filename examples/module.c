/* SPDX-License-Identifier: MIT */
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/vmalloc.h>

static DEFINE_PER_CPU(long, calls);
static int bytes = 1 << 20;
module_param(bytes, int, 0444);

static int __init begin(void)
{
	char *area = vzalloc(bytes);

	if (area == NULL)
		return -ENOMEM;
	this_cpu_inc(calls);
	pr_info("%d bytes at %p\n", bytes, area);
	vfree(area);
	return 0;
}

module_init(begin);
MODULE_LICENSE("GPL");
