/* SPDX-License-Identifier: MIT */
/* A disk in memory for tests: it records every write, sync and name change, builds the states a power loss could
 * leave, rots, fills up, and fails where it is told. Thread-safe. */
#ifndef TMAIL_TESTS_SIMDISK_H
#define TMAIL_TESTS_SIMDISK_H

#include "spool/disk.h"

#include <stdbool.h>
#include <stdint.h>

struct simdisk;

/* An empty disk that records. The folder "/" is there. */
struct simdisk *simdisk_new(void);
void simdisk_free(struct simdisk **s);

/* What the code under test gets. */
struct disk *simdisk_disk(struct simdisk *s);

/* False: what happens from now on is not recorded (faster; no crash states of it). */
void simdisk_record(struct simdisk *s, bool on);

/* To end a process by kill -9: stop, and nothing changes the disk any more (every call fails), so that the code under
 * test can be torn down to free its memory; then kill: descriptors and locks go, what was written stays, calls work
 * again. */
void simdisk_stop(struct simdisk *s);
void simdisk_kill(struct simdisk *s);

/* How many changes were recorded so far: a moment to cut at. */
uint64_t simdisk_now(struct simdisk *s);

/* Crash states: a replay goes forward through the recorded changes; at each point it can build disks as a power loss
 * there could leave them. Per name and per 512-byte sector, what was not synced may be there or not, in any
 * combination; SEED decides. The recording disk must not change meanwhile. */
struct simreplay;
struct simreplay *simreplay_new(const struct simdisk *s);
void simreplay_to(struct simreplay *r, uint64_t moment); /* not backwards */
struct simdisk *simreplay_crash(const struct simreplay *r, uint64_t seed);
void simreplay_free(struct simreplay **r);

/* Damages some bytes of one block of a file whose name ends in SUFFIX and that is not all zeros, durably. Returns the
 * file's path (owned by the disk), or NULL when there is none. */
const char *simdisk_rot(struct simdisk *s, const char *suffix, uint64_t seed);

/* Removes every file whose name ends in SUFFIX, durably. */
void simdisk_remove(struct simdisk *s, const char *suffix);

/* The whole contents of a file as it reads now; NULL: no such file. Owned by the disk, valid until it changes. */
const unsigned char *simdisk_bytes(struct simdisk *s, const char *path, uint64_t *size);

/* Puts a file there, durably; for preparing states by hand. */
void simdisk_put(struct simdisk *s, const char *path, const void *p, uint64_t n);

/* Faults. Calls that can fail are counted: all but close, size and list. The one that makes the count N (from now, 1 is
 * the next) fails with ERROR, and if STICKY every later one of the same kind too, until simdisk_heal().
 * A write that fails has written a part; what a failed sync should have synced may be lost whatever follows. */
void simdisk_fail(struct simdisk *s, uint64_t n, int error, bool sticky);
void simdisk_heal(struct simdisk *s);
uint64_t simdisk_calls(struct simdisk *s); /* since the last simdisk_fail() or simdisk_heal() */

/* Writes take at most MAX bytes at a time; 0: all. */
void simdisk_short_writes(struct simdisk *s, uint64_t max);

/* Bytes the disk holds; files may not grow above. UINT64_MAX: no limit. */
void simdisk_capacity(struct simdisk *s, uint64_t bytes);

uint64_t simdisk_bytes_read(struct simdisk *s);

/* splitmix64: the tests' reproducible randomness. */
uint64_t sim_random(uint64_t *state);
uint64_t sim_below(uint64_t *state, uint64_t limit);

#endif
