// SPDX-License-Identifier: MIT
/* parameters.c - a module that does what its parameters say: for the test of main() */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static int error;
module_param(error, int, 0444);
static bool warns;
module_param(warns, bool, 0444);
static char *text = "none";
module_param(text, charp, 0444);
static unsigned short small = 1;
module_param_named(tiny, small, ushort, 0444);

static int __init parameters_init(void)
{
	(void)WARN(warns, "warned");
	for (int i = 0; i < 2; i++)
		(void)WARN_ON_ONCE(warns % 2 != 0);
	pr_info("text %s tiny %u\n", text, small);
	return error;
}

static void __exit parameters_exit(void)
{
	pr_info("exit\n");
}

module_init(parameters_init);
module_exit(parameters_exit);
