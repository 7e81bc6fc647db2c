/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli), with the processor's instruction where it has one. */
#ifndef TMAIL_UTIL_CRC32C_H
#define TMAIL_UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues SEED over N bytes. crc32c(0, "123456789", 9) is 0xe3069283; chains: crc32c(crc32c(0, a), b). */
uint32_t crc32c(uint32_t seed, const void *p, size_t n);

#endif
