/* SPDX-License-Identifier: MIT */
/* Switching stacks: a few lines of assembly where we have them, sigsetjmp/siglongjmp elsewhere. */
#ifndef TMAIL_NET_CONTEXT_H
#define TMAIL_NET_CONTEXT_H

#include <stddef.h>

/* Prepares STACK so that the first switch to the result calls ENTRY(ARG), which never returns. */
void *context_make(void *stack, size_t size, void (*entry)(void *arg), void *arg);

/* Leaves the running stack, noting in *FROM where it goes on, and goes on at TO. */
void context_switch(void **from, void *to);

#endif
