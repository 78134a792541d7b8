/* SPDX-License-Identifier: MIT */
/* checks_cpu.c - what fast paths need: sequences, their numbering of CPUs, and the fence */
#include "doctor/doctor.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <quire/quire.h>
#include <quire/slab.h>

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#endif
#define RSEQ_MM_CID_END 28

/* Of glibc 2.35 and later. */
extern const unsigned int __rseq_size __attribute__((weak));

static void pair(void *cache)
{
	quire_cache_free(cache, quire_cache_alloc(cache, 0));
}

/* An object of 64 bytes allocated and freed; 0 if there is no memory. */
static double pair_ns(enum quire_switch rseq)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)64 << 20, .rseq = rseq);
	const struct quire_cache_options object =
		QUIRE_CACHE_OPTIONS_INIT(.name = "doctor", .size = 64);
	struct quire_cache *cache;
	struct quire *q;
	double ns = 0;

	if (quire_create(&options, &q) != 0)
		return 0;
	if (quire_cache_create(q, &object, &cache) == 0) {
		ns = measure_ns(pair, cache);
		quire_cache_destroy(cache);
	}
	quire_destroy(q);
	return ns;
}

static bool has_sequences(void)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)2 << 20);
	char text[2048];
	struct quire *q;

	if (quire_create(&options, &q) != 0)
		return false;
	quire_text_options(q, text, sizeof(text));
	quire_destroy(q);
	return strstr(text, "rseq:on") != NULL;
}

static void look_rseq(struct finding *finding)
{
	if (has_sequences()) {
		found(finding, FINDING_OK,
		      "an object of 64 bytes takes %.1f ns, %.1f without sequences",
		      pair_ns(QUIRE_ON), pair_ns(QUIRE_OFF));
		return;
	}
	found(finding, FINDING_MISSING,
	      "no sequences: an object of 64 bytes takes %.1f ns, under locks", pair_ns(QUIRE_OFF));
	if (&__rseq_size == NULL)
		mend(finding, "the C library does not register rseq: glibc 2.35 or later does");
	else if (__rseq_size == 0)
		mend(finding, "GLIBC_TUNABLES=glibc.pthread.rseq=1; in a filter, allow rseq "
			      "(systemd: SystemCallFilter=rseq)");
	else
		mend(finding, "see membarrier; or this architecture has no sequences");
}

static void look_mm_cid(struct finding *finding)
{
	unsigned long bytes = getauxval(AT_RSEQ_FEATURE_SIZE);

	if (!has_sequences()) {
		found(finding, FINDING_NOTE, "not used: there are no sequences, see rseq");
		return;
	}
	if (bytes >= RSEQ_MM_CID_END) {
		found(finding, FINDING_OK,
		      "caches are as many as threads run at once, not one a CPU");
		return;
	}
	found(finding, FINDING_MISSING,
	      "a cache for each CPU on which a thread has run (%ld are there), however few run at "
	      "once",
	      sysconf(_SC_NPROCESSORS_CONF));
	mend(finding, "Linux 6.3 or later");
}

static void fence(void *arg)
{
	(void)arg;
	syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0);
}

static void look_membarrier(struct finding *finding)
{
	int error;

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0 &&
	    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, 0, 0) == 0) {
		found(finding, FINDING_OK, "emptying other CPUs' caches costs a fence of %.1f us",
		      measure_ns(fence, NULL) / 1e3);
		return;
	}
	error = errno;
	found(finding, FINDING_MISSING, "refused (%s): without the fence there are no sequences",
	      strerrorname_np(error));
	mend(finding, error == EINVAL ? "Linux 5.10 or later, built with CONFIG_RSEQ"
				      : "in a filter, allow membarrier (systemd: "
					"SystemCallFilter=membarrier)");
}

const struct check checks_cpu[] = {
	{ .name = "rseq", .look = look_rseq },
	{ .name = "mm_cid", .look = look_mm_cid },
	{ .name = "membarrier", .look = look_membarrier },
	{ .name = NULL },
};
