/* SPDX-License-Identifier: MIT */
/* linux/types.h - the kernel's integers, and the structs that are parts of others */
#ifndef QUIRE_LINUX_TYPES_H
#define QUIRE_LINUX_TYPES_H

#include <linux/compiler.h>
#include_next <linux/types.h> /* the system's: __u8 and its kin */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

__extension__ typedef unsigned __int128 u128;

typedef unsigned gfp_t;
typedef unsigned slab_flags_t;
typedef uint64_t phys_addr_t;
typedef phys_addr_t resource_size_t;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	int64_t counter;
} atomic64_t;

typedef struct {
	long counter;
} atomic_long_t;

struct list_head {
	struct list_head *next, *prev;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

#endif
