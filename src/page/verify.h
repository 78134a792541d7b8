/* SPDX-License-Identifier: MIT */
/* page/verify.h - checking the invariants of an instance's pages */
#ifndef PAGE_VERIFY_H
#define PAGE_VERIFY_H

struct pages;

/* 0, or 100 + the number of the first broken rule.  No other thread uses the instance. */
int page_verify(struct pages *p);

#endif
