/* SPDX-License-Identifier: MIT */
/* linux/smp.h - the CPU that the caller runs on: a hint, outside of a section of linux/preempt.h */
#ifndef QUIRE_LINUX_SMP_H
#define QUIRE_LINUX_SMP_H

#include <linux/preempt.h>

/* The section's CPU; outside of one, where the thread runs at this moment. */
static inline unsigned quire_linux_cpu_(void)
{
	if (quire_linux_section.depth != 0)
		return quire_linux_section.cpu;
	return quire_linux_unit_(quire_linux_running_on_());
}

#define smp_processor_id()     quire_linux_cpu_()
#define raw_smp_processor_id() quire_linux_cpu_()
#define get_cpu()                                                                                  \
	({                                                                                         \
		preempt_disable();                                                                 \
		quire_linux_cpu_();                                                                \
	})
#define put_cpu() preempt_enable()

#endif
