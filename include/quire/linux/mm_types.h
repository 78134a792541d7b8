/* SPDX-License-Identifier: MIT */
/*
 * linux/mm_types.h - pages by struct page
 *
 * A struct page stands where its page is: its address is the page's, and its size a page's.  So page + 1 is the next page,
 * page_address() is a cast, and every address in a page has a struct page, in an area too.
 *
 * References.  A block has one, which its free drops.  get_page() adds one, and the last one that is dropped frees the
 * block, whole, whether or not it was allocated with __GFP_COMP.  References are those of a block's first page.
 */
#ifndef QUIRE_LINUX_MM_TYPES_H
#define QUIRE_LINUX_MM_TYPES_H

#include <linux/atomic.h>
#include <linux/gfp_types.h>
#include <linux/kernel.h>
#include <linux/list.h>

#include <pthread.h>
#include <quire/page.h>
#include <stdlib.h>
#include <string.h>

#ifndef PAGE_SHIFT
#define PAGE_SHIFT 12
#endif
#undef PAGE_SIZE
#undef PAGE_MASK
#define PAGE_SIZE	    (1UL << PAGE_SHIFT)
#define PAGE_MASK	    (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(n)	    ALIGN(n, PAGE_SIZE)
#define PAGE_ALIGNED(n)	    IS_ALIGNED((unsigned long)(n), PAGE_SIZE)
#define offset_in_page(ptr) ((unsigned long)(ptr) & ~PAGE_MASK)

#define MAX_PAGE_ORDER	   QUIRE_ORDER_MAX
#define NR_PAGE_ORDERS	   QUIRE_ORDERS
#define MAX_ORDER	   QUIRE_ORDERS /* as before Linux 6.4: one more than the largest */
#define MAX_ORDER_NR_PAGES (1UL << MAX_PAGE_ORDER)
#define NUMA_NO_NODE	   (-1)

struct page {
	char bytes[PAGE_SIZE];
};

/* Programs are compiled for one size of pages. */
__attribute__((constructor)) static void quire_linux_page_size_is_known(void)
{
	if (quire_page_bytes(quire_default()) != PAGE_SIZE) {
		printk("compiled for pages of %lu bytes, the instance has %zu: -DPAGE_SHIFT=...\n",
		       PAGE_SIZE, quire_page_bytes(quire_default()));
		exit(2);
	}
}

static inline void *page_address(const struct page *page)
{
	return (void *)(uintptr_t)page;
}

static inline struct page *virt_to_page(const void *addr)
{
	return (struct page *)((uintptr_t)addr & PAGE_MASK);
}

/* The head of a block is known by its first page alone. */
static inline struct page *virt_to_head_page(const void *addr)
{
	return virt_to_page(addr);
}

static inline unsigned long page_to_pfn(const struct page *page)
{
	return (uintptr_t)page >> PAGE_SHIFT;
}

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return (struct page *)(pfn << PAGE_SHIFT);
}

static inline bool virt_addr_valid(const void *addr)
{
	return quire_page_address(quire_default(), addr) != NULL;
}

static inline unsigned compound_order(struct page *page)
{
	int order = quire_block_order(quire_default(), page);

	return order < 0 ? 0 : (unsigned)order;
}

static inline unsigned long page_size(struct page *page)
{
	return PAGE_SIZE << compound_order(page);
}

/* The least order whose block holds @size bytes: 0 for 1, 1 for PAGE_SIZE + 1. */
static inline int get_order(unsigned long size)
{
	return size == 0 ? 0 : fls64((size - 1) >> PAGE_SHIFT);
}

#define nth_page(page, n) ((page) + (n))
#define clear_page(addr)  memset(addr, 0, PAGE_SIZE)

/* ---- references ---- */

/* A block that has more than one reference. */
struct quire_linux_pin {
	struct quire_linux_pin *next;
	struct page *page;
	unsigned more; /* than one */
};

#define QUIRE_LINUX_PINS_ 256u

/* Keys: (a) atomic; (l) under the lock. */
struct quire_linux_pins {
	pthread_mutex_t lock;
	unsigned pins_nr;				/* (a); written under the lock */
	struct quire_linux_pin *pin[QUIRE_LINUX_PINS_]; /* (l) by the page's number */
};

extern struct quire_linux_pins quire_linux_pins;
QUIRE_LINUX_SHARED_ struct quire_linux_pins quire_linux_pins;

/* The place of a page's pin in the table, or where it belongs.  Under the lock. */
static inline struct quire_linux_pin **quire_linux_pin_of_(const struct page *page)
{
	struct quire_linux_pin **at = &quire_linux_pins.pin[page_to_pfn(page) % QUIRE_LINUX_PINS_];

	while (*at != NULL && (*at)->page != page)
		at = &(*at)->next;
	return at;
}

static inline void get_page(struct page *page)
{
	struct quire_linux_pin **at;

	BUG_ON(quire_block_order(quire_default(), page) < 0);
	(void)pthread_mutex_lock(&quire_linux_pins.lock);
	at = quire_linux_pin_of_(page);
	if (*at == NULL) {
		*at = (struct quire_linux_pin *)calloc(1, sizeof(**at));
		BUG_ON(*at == NULL);
		(*at)->page = page;
		(void)__atomic_fetch_add(&quire_linux_pins.pins_nr, 1, __ATOMIC_RELAXED);
	}
	(*at)->more++;
	(void)pthread_mutex_unlock(&quire_linux_pins.lock);
}

/* Drops a reference; true if it was the last one. */
static inline bool put_page_testzero(struct page *page)
{
	struct quire_linux_pin **at, *pin;

	/* The caller's own reference: what others have taken from it, it has seen. */
	if (__atomic_load_n(&quire_linux_pins.pins_nr, __ATOMIC_ACQUIRE) == 0)
		return true;
	(void)pthread_mutex_lock(&quire_linux_pins.lock);
	at = quire_linux_pin_of_(page);
	pin = *at;
	if (pin != NULL && --pin->more == 0) {
		*at = pin->next;
		free(pin);
		/* Pairs with the load: what the holder did with the page comes before the free. */
		(void)__atomic_fetch_sub(&quire_linux_pins.pins_nr, 1, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&quire_linux_pins.lock);
	return pin == NULL;
}

static inline int page_ref_count(struct page *page)
{
	struct quire_linux_pin *pin;
	int count;

	(void)pthread_mutex_lock(&quire_linux_pins.lock);
	pin = *quire_linux_pin_of_(page);
	count = pin == NULL ? 1 : 1 + (int)pin->more;
	(void)pthread_mutex_unlock(&quire_linux_pins.lock);
	return count;
}

#define page_count(page) page_ref_count(page)

static inline void put_page(struct page *page)
{
	if (put_page_testzero(page))
		quire_free_pages(quire_default(), page, compound_order(page));
}

#endif
