/* SPDX-License-Identifier: MIT */
/* The certificates, keys and trusted roots a configuration names, read from disk with the supervisor's privileges. */
#ifndef TMAIL_CONTROL_CERTIFICATES_H
#define TMAIL_CONTROL_CERTIFICATES_H

#include "util/err.h"

#include <stdint.h>

struct keyring;
struct settings;

/* Reads what S names into RING, zeroed memory. What cannot be used is logged; with OLD, the ring in force until now,
 * the older certificate of the same file takes its place. Without one, a file of a pattern is left out, and a file that
 * is named itself makes -1, with "file:line: why" of the configuration in ERR. */
int certificates_read(struct keyring *ring, const struct settings *s, const struct keyring *old, struct err *err);

/* Calls FN for each file and folder that certificates_read() looks for, there or not, and with a "/" at the end for
 * each folder where further ones may come. The system's roots are left out. */
void certificates_each_file(const struct settings *s, void (*fn)(const char *path, void *arg), void *arg);

#endif
