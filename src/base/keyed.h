/* SPDX-License-Identifier: MIT */
/*
 * base/keyed.h - numbers that nobody can predict who does not know a key
 *
 * SipHash-1-3 of one number of 8 bytes.  With a counter it is a generator that needs no other state, so any
 * number of threads can draw from one key; with an address it is a mark that cannot be forged.
 */
#ifndef BASE_KEYED_H
#define BASE_KEYED_H

#include <stdint.h>

struct key {
	uint64_t word[2];
};

struct keyed_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t keyed_rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void keyed_round(struct keyed_state *s)
{
	s->v0 += s->v1;
	s->v1 = keyed_rotate(s->v1, 13) ^ s->v0;
	s->v0 = keyed_rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = keyed_rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = keyed_rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = keyed_rotate(s->v1, 17) ^ s->v2;
	s->v2 = keyed_rotate(s->v2, 32);
}

static inline void keyed_absorb(struct keyed_state *s, uint64_t number)
{
	s->v3 ^= number;
	keyed_round(s);
	s->v0 ^= number;
}

static inline uint64_t keyed_hash(const struct key *key, uint64_t number)
{
	/* The constants are the algorithm's: "somepseudorandomlygeneratedbytes". */
	struct keyed_state s = {
		.v0 = key->word[0] ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->word[1] ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->word[0] ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->word[1] ^ UINT64_C(0x7465646279746573),
	};

	keyed_absorb(&s, number);
	keyed_absorb(&s, UINT64_C(8) << 56); /* the last block: how many bytes there were */
	s.v2 ^= 0xff;
	keyed_round(&s);
	keyed_round(&s);
	keyed_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* One of @n from 32 random bits: as likely as any other, to within n / 2^32. */
static inline uint32_t keyed_below(uint32_t random, uint32_t n)
{
	return (uint32_t)((uint64_t)random * n >> 32);
}

#endif
