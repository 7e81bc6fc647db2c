/* SPDX-License-Identifier: MIT */
/* glibc's checked longjmp refuses to leave a stack for another one. */
#undef _FORTIFY_SOURCE

#include "net/context.h"
#include "util/check.h"

#include <stdint.h>

#if defined(__x86_64__) && !defined(TMAIL_PORTABLE_CONTEXT)

/* System V ABI: rbx, rbp and r12-r15 survive a call, so do the control words, which nobody here changes. */
__asm__(".text\n"
	".globl context_switch\n"
	".type context_switch,@function\n"
	"context_switch:\n"
	"	endbr64\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size context_switch,.-context_switch\n"
	".type context_entry,@function\n"
	"context_entry:\n"
	"	endbr64\n"
	"	movq %r12, %rdi\n"
	"	xorl %ebp, %ebp\n"
	"	callq *%r13\n"
	"	ud2\n"
	".size context_entry,.-context_entry\n");

void context_entry(void) __asm__("context_entry");

void *
context_make(void *stack, size_t size, void (*entry)(void *), void *arg)
{
	uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

	top -= 2; /* keeps the stack aligned at context_entry's call */
	top[0] = top[1] = 0;
	*--top = (uintptr_t)context_entry;
	*--top = 0;                /* rbp */
	*--top = 0;                /* rbx */
	*--top = (uintptr_t)arg;   /* r12 */
	*--top = (uintptr_t)entry; /* r13 */
	*--top = 0;                /* r14 */
	*--top = 0;                /* r15 */
	return top;
}

#elif defined(__aarch64__) && !defined(TMAIL_PORTABLE_CONTEXT)

/* AAPCS64: x19-x30 and d8-d15 survive a call. */
__asm__(".text\n"
	".globl context_switch\n"
	".type context_switch,%function\n"
	"context_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size context_switch,.-context_switch\n"
	".type context_entry,%function\n"
	"context_entry:\n"
	"	mov x0, x19\n"
	"	mov x29, #0\n"
	"	blr x20\n"
	"	brk #1\n"
	".size context_entry,.-context_entry\n");

void context_entry(void) __asm__("context_entry");

void *
context_make(void *stack, size_t size, void (*entry)(void *), void *arg)
{
	uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);
	int i;

	top -= 20;
	for (i = 0; i < 20; i++)
		top[i] = 0;
	top[0] = (uintptr_t)arg;
	top[1] = (uintptr_t)entry;
	top[11] = (uintptr_t)context_entry;
	return top;
}

#else

/* Entered once by makecontext, then switched without system calls. */
#include <setjmp.h>
#include <ucontext.h>

struct portable {
	sigjmp_buf jump;
	ucontext_t first;
	void (*entry)(void *);
	void *arg;
	int started;
};

static void
trampoline(unsigned hi, unsigned lo)
{
	struct portable *p = (struct portable *)((uintptr_t)hi << 32 | lo);

	p->entry(p->arg);
}

void *
context_make(void *stack, size_t size, void (*entry)(void *), void *arg)
{
	struct portable *p = xcalloc(1, sizeof *p);

	check(getcontext(&p->first) == 0);
	p->first.uc_stack.ss_sp = stack;
	p->first.uc_stack.ss_size = size;
	p->entry = entry;
	p->arg = arg;
	makecontext(&p->first, (void (*)(void))trampoline, 2, (unsigned)((uintptr_t)p >> 32), (unsigned)(uintptr_t)p);
	return p;
}

void
context_switch(void **from, void *to)
{
	struct portable *next = to, *self;

	if (*from == NULL)
		*from = xcalloc(1, sizeof(struct portable));
	self = *from;
	self->started = 1;
	if (sigsetjmp(self->jump, 0) != 0)
		return;
	if (next->started)
		siglongjmp(next->jump, 1);
	next->started = 1;
	setcontext(&next->first);
}

#endif
