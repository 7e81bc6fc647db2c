/* SPDX-License-Identifier: MIT */
/* A library to preload that lets system calls fail on command. FAULTFS_CONTROL is a file of struct fault, one for
 * each kind, which the test writes through a mapping; only files below FAULTFS_PATH fail. Costs nothing while no
 * fault is armed. FAULTFS_POISON is a text at which a process dies as of a bug, in the moment it sends it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { FAULT_WRITE, FAULT_SYNC, FAULT_READ, FAULT_OPEN, FAULT_ACCEPT, FAULT_KINDS };

struct fault {
	int32_t error; /* errno to fail with; 0: not armed */
	int32_t left;  /* failures to come; -1: until disarmed */
	int64_t hits;  /* failures so far */
};

static volatile struct fault *faults;
static const char *folder;

static void __attribute__((constructor))
begin(void)
{
	const char *path = getenv("FAULTFS_CONTROL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	folder = getenv("FAULTFS_PATH");
	if (fd < 0 || folder == NULL)
		return;
	p = mmap(NULL, sizeof *faults * FAULT_KINDS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		faults = p;
}

static bool
below_folder(const char *path)
{
	return strncmp(path, folder, strlen(folder)) == 0;
}

static bool
fd_below_folder(int fd)
{
	char name[64], path[PATH_MAX];
	ssize_t n;

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof path - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return below_folder(path);
}

/* Does this call fail? Then errno is set. */
static bool
fails(enum kind kind, bool concerned)
{
	volatile struct fault *f = &faults[kind];

	if (!concerned || f->left == 0)
		return false;
	if (f->left > 0)
		__atomic_sub_fetch(&f->left, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&f->hits, 1, __ATOMIC_SEQ_CST);
	errno = f->error;
	return true;
}

static bool
armed(enum kind kind)
{
	return faults != NULL && faults[kind].error != 0;
}

static bool
fd_fails(enum kind kind, int fd)
{
	return armed(kind) && fails(kind, fd_below_folder(fd));
}

/* The next definition of a function; ISO C has no cast from it to a function, POSIX has this one. */
static void
find(void *function, const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	memcpy(function, &p, sizeof p);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	static ssize_t (*real)(int, const struct iovec *, int, off_t);

	if (real == NULL)
		find(&real, "pwritev");
	return fd_fails(FAULT_WRITE, fd) ? -1 : real(fd, iov, count, off);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t off) __attribute__((alias("pwritev")));

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);

	if (real == NULL)
		find(&real, "pwrite");
	return fd_fails(FAULT_WRITE, fd) ? -1 : real(fd, p, n, off);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t off) __attribute__((alias("pwrite")));

ssize_t
write(int fd, const void *p, size_t n)
{
	static ssize_t (*real)(int, const void *, size_t);

	if (real == NULL)
		find(&real, "write");
	return fd_fails(FAULT_WRITE, fd) ? -1 : real(fd, p, n);
}

int
fdatasync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		find(&real, "fdatasync");
	return fd_fails(FAULT_SYNC, fd) ? -1 : real(fd);
}

int
fsync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		find(&real, "fsync");
	return fd_fails(FAULT_SYNC, fd) ? -1 : real(fd);
}

ssize_t
pread(int fd, void *p, size_t n, off_t off)
{
	static ssize_t (*real)(int, void *, size_t, off_t);

	if (real == NULL)
		find(&real, "pread");
	return fd_fails(FAULT_READ, fd) ? -1 : real(fd, p, n, off);
}

ssize_t pread64(int fd, void *p, size_t n, off_t off) __attribute__((alias("pread")));

int
fallocate(int fd, int mode, off_t off, off_t len)
{
	static int (*real)(int, int, off_t, off_t);

	if (real == NULL)
		find(&real, "fallocate");
	return fd_fails(FAULT_WRITE, fd) ? -1 : real(fd, mode, off, len);
}

int fallocate64(int fd, int mode, off_t off, off_t len) __attribute__((alias("fallocate")));

/* Only new files: a disk without a free inode still opens the old ones. */
int
open(const char *path, int flags, ...)
{
	static int (*real)(const char *, int, ...);
	mode_t mode = 0;

	if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (real == NULL)
		find(&real, "open");
	if ((flags & O_CREAT) != 0 && armed(FAULT_OPEN) && fails(FAULT_OPEN, below_folder(path)))
		return -1;
	return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	static int (*real)(int, struct sockaddr *, socklen_t *, int);

	if (real == NULL)
		find(&real, "accept4");
	return armed(FAULT_ACCEPT) && fails(FAULT_ACCEPT, true) ? -1 : real(fd, addr, len, flags);
}

/* ---- a message whose handling crashes ---- */

static bool
holds(const struct msghdr *h, const char *poison)
{
	size_t i, n = strlen(poison);

	for (i = 0; i < h->msg_iovlen; i++)
		if (memmem(h->msg_iov[i].iov_base, h->msg_iov[i].iov_len, poison, n) != NULL)
			return true;
	return false;
}

ssize_t
sendmsg(int fd, const struct msghdr *h, int flags)
{
	static ssize_t (*real)(int, const struct msghdr *, int);
	const char *poison = getenv("FAULTFS_POISON");

	find(&real, "sendmsg");
	if (poison != NULL && holds(h, poison)) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	return real(fd, h, flags);
}
