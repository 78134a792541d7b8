/* SPDX-License-Identifier: MIT */
/* linux/cpumask.h - the CPUs that per-CPU memory has copies for: numbers from 0 on, all of them possible */
#ifndef QUIRE_LINUX_CPUMASK_H
#define QUIRE_LINUX_CPUMASK_H

#include <linux/smp.h>

#include <quire/percpu.h>
#include <unistd.h>

#define nr_cpu_ids		   quire_percpu_units(quire_default())
#define num_possible_cpus()	   nr_cpu_ids
#define num_online_cpus()	   ((unsigned)sysconf(_SC_NPROCESSORS_ONLN))
#define num_present_cpus()	   ((unsigned)sysconf(_SC_NPROCESSORS_CONF))
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (unsigned)(cpu) < nr_cpu_ids; (cpu)++)
/* A copy is there whether or not its CPU is online. */
#define for_each_online_cpu(cpu)   for_each_possible_cpu (cpu)
#define for_each_present_cpu(cpu)  for_each_possible_cpu (cpu)

#endif
