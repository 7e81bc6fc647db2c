/* SPDX-License-Identifier: MIT */
#include "control/sandbox.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A sanitizer looks at its own process: for leaks by ptrace, for source lines by reading the program. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* LeakSanitizer looks at its own process through ptrace at the end. */
#if defined(__SANITIZE_ADDRESS__)
enum { LEAK_CHECK = 1 };
#else
enum { LEAK_CHECK = 0 };
#endif

int
account_find(const char *name, struct account *out, struct err *err)
{
	struct passwd *pw;

	out->name = name;
	out->uid = getuid();
	out->gid = getgid();
	if (getuid() != 0)
		return 0;
	pw = getpwnam(name);
	if (pw == NULL)
		return err_set(err, "there is no account \"%s\" for the worker to run as: adduser --system --group %s", name,
		    name);
	if (pw->pw_uid == 0)
		return err_set(err, "the worker must not run as root: choose another account than \"%s\"", name);
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	return 0;
}

static int
drop_privileges(const struct account *a, struct err *err)
{
	if (getuid() != 0)
		return 0;
	if (setgroups(1, &a->gid) < 0 || setresgid(a->gid, a->gid, a->gid) < 0 || setresuid(a->uid, a->uid, a->uid) < 0)
		return err_sys(err, "cannot become account %s", a->name);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* changing accounts forgot it */
	if (LEAK_CHECK)
		prctl(PR_SET_DUMPABLE, 1);
	if (sanitized)
		prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

#if defined(SYS_landlock_create_ruleset) && defined(LANDLOCK_CREATE_RULESET_VERSION)
enum { READ_ACCESS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };

static void
allow_below(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

static bool
restrict_files(const char *const *writable, unsigned count)
{
	/* Rights of the first version of Landlock: every kernel that has it knows them. */
	struct landlock_ruleset_attr attr = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	bool done;
	unsigned i;

	if (ruleset < 0)
		return false;
	for (i = 0; i < count; i++)
		allow_below(ruleset, writable[i], attr.handled_access_fs & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE);
	if (sanitized)
		allow_below(ruleset, "/", READ_ACCESS);
	allow_below(ruleset, "/usr", READ_ACCESS); /* time zones, locales, libraries of crash reports */
	allow_below(ruleset, "/etc", READ_ACCESS);
	allow_below(ruleset, "/proc", READ_ACCESS);
	allow_below(ruleset, "/sys", READ_ACCESS);
	allow_below(ruleset, "/lib", READ_ACCESS);
	allow_below(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
	done = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return done;
}
#else
static bool
restrict_files(const char *const *writable, unsigned count)
{
	(void)writable;
	(void)count;
	return false;
}
#endif

/* Denied with EPERM rather than death: a C library that tries something new goes on without it. */
static bool
deny_calls(void)
{
	static const char *const denied[] = { "ptrace", "execve", "execveat", "process_vm_readv", "process_vm_writev",
		"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount", "unshare", "setns",
		"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
		"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "bpf",
		"perf_event_open", "keyctl", "add_key", "request_key", "userfaultfd", "io_uring_setup", "iopl", "ioperm",
		"acct", "quotactl", "syslog", "vhangup", "personality", "mknod", "mknodat", "setuid", "setgid", "setreuid",
		"setregid", "setresuid", "setresgid", "setgroups" };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	bool done = ctx != NULL;
	size_t i;
	int nr;

	for (i = LEAK_CHECK; done && i < sizeof denied / sizeof *denied; i++) {
		nr = seccomp_syscall_resolve_name(denied[i]);
		if (nr != __NR_SCMP_ERROR && !(sanitized && strcmp(denied[i], "ptrace") == 0))
			seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	/* All threads made later inherit it; there are none yet. */
	done = done && seccomp_load(ctx) == 0;
	if (ctx != NULL)
		seccomp_release(ctx);
	return done;
}

int
sandbox_enter(const struct account *account, const char *const *writable, unsigned count, struct err *err)
{
	if (drop_privileges(account, err) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "cannot give up new privileges");
	if (!restrict_files(writable, count))
		log_event(LOG_WARN, "sandbox", "this kernel has no Landlock: files are protected by permissions only");
	if (!deny_calls())
		log_event(LOG_WARN, "sandbox", "no seccomp here: system calls are not restricted");
	return 0;
}
