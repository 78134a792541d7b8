/* SPDX-License-Identifier: MIT */
/*
 * stat.h - every figure of an instance as text for machines
 *
 * The figures are those of quire_page_stat_read(), quire_vmap_stat_read(), quire_percpu_stat_read() and
 * quire_slab_stat_read(), under the names that docs/stat.md lists with their meaning and what to do about each.  Memory
 * is in bytes.  Gauges may be torn against each other while other threads run; each is right by itself.
 *
 * Nothing is allocated, and no CPU is stopped.  A buffer of QUIRE_STAT_TEXT_MAX bytes is always large enough.
 */
#ifndef QUIRE_STAT_H
#define QUIRE_STAT_H

#include <stddef.h>

#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

#define QUIRE_STAT_TEXT_MAX 32768u

/**
 * quire_stat_json - all figures as one JSON object
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * {"schema":"quire-stat","version":1,"library":"0.1.0","page":{"limit_bytes":...},"vmap":{...},...}
 *
 * Later versions add names; the version changes if one is removed or changes its meaning.  Numbers are whole and below
 * 2^53, so every reader of JSON has them exactly.
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does; 0 where the instance's frames are
 *           another process's.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      as the four calls that read statistics: a look at every run of pages and every area.
 */
size_t quire_stat_json(const struct quire *q, char *buffer, size_t bytes);

/**
 * quire_stat_prometheus - all figures in Prometheus' text format
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Each family has its HELP and TYPE; names are quire_MODULE_NAME, with _bytes and, for a counter, _total.  For a
 * textfile collector write it to a file of another name first, and rename that.
 *
 * Returns   as quire_stat_json().
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      as quire_stat_json().
 */
size_t quire_stat_prometheus(const struct quire *q, char *buffer, size_t bytes);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop

#endif
