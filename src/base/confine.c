/*
 * confine.c: Landlock (Salaün 2021; Linux 5.13) for files, a seccomp filter for the network.
 *
 * Landlock binds the calling thread and those it starts: so it comes before the first parallel region. The filter denies new sockets of
 * any family; io_uring, which could open one behind it, is denied whole.
 */
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- files ---- */

/* Rights that a version of the interface knows; later ones are left to the kernel, as it allows what nobody handles. */
static uint64_t rights(int version)
{
	uint64_t first = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
	                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
	                 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
#ifdef LANDLOCK_ACCESS_FS_REFER
	first |= version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
#endif
#ifdef LANDLOCK_ACCESS_FS_TRUNCATE
	first |= version >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0;
#endif
	return first;
}

static uint64_t granted(enum ul_grant_kind kind, bool folder, uint64_t all)
{
	switch (kind) {
	case UL_GRANT_READ:
		return LANDLOCK_ACCESS_FS_READ_FILE | (folder ? LANDLOCK_ACCESS_FS_READ_DIR : 0);
	case UL_GRANT_LIST:
		return folder ? LANDLOCK_ACCESS_FS_READ_DIR : 0;
	case UL_GRANT_TREE:
		return all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
	case UL_GRANT_REMOVE:
		return LANDLOCK_ACCESS_FS_REMOVE_DIR;
	}
	return 0;
}

static bool allow(int rules, const ul_grant *g, uint64_t all, ul_err *err)
{
	struct stat st;
	int fd = open(g->path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT || errno == ENOTDIR || ul_fail(err, "cannot open %s to keep it within reach: %s", g->path, strerror(errno));
	}
	bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	struct landlock_path_beneath_attr rule = {.allowed_access = granted(g->kind, folder, all), .parent_fd = fd};
	if (!folder) { /* of a file only what can be done to a file */
		rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	}
	bool ok = !rule.allowed_access || syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	int saved = errno;
	close(fd);
	return ok || ul_fail(err, "cannot keep %s within reach: %s", g->path, strerror(saved));
}

static bool shut_files(const ul_grant *g, int n, ul_confined *out, ul_err *err)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1) {
		return true; /* not built in, or switched off */
	}
	struct landlock_ruleset_attr attr = {.handled_access_fs = rights((int)version)};
	int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
	bool ok = rules >= 0 || ul_fail(err, "cannot confine the run to its files: %s", strerror(errno));
	for (int i = 0; ok && i < n; i++) {
		ok = allow(rules, &g[i], attr.handled_access_fs, err);
	}
	if (ok && syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
		ok = ul_fail(err, "cannot confine the run to its files: %s", strerror(errno));
	}
	if (rules >= 0) {
		close(rules);
	}
	out->files = ok;
	out->landlock = (int)version;
	return ok;
}

/* ---- network ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

static bool shut_network(ul_confined *out, ul_err *err)
{
#ifdef ARCH
	const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, refuse), /* calls by another architecture's numbers */
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 3, 0), /* x32 */
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 2, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	        BPF_STMT(BPF_RET | BPF_K, refuse),
	};
	struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0) {
		out->network = true;
		return true;
	}
	return errno == ENOSYS || errno == EINVAL || ul_fail(err, "cannot shut the network out: %s", strerror(errno));
#else
	return true;
#endif
}

bool ul_confine(const ul_grant *g, int n, ul_confined *out, ul_err *err)
{
	ul_confined done = {0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return ul_fail(err, "cannot give up privileges: %s", strerror(errno));
	}
	if (!shut_network(&done, err) || !shut_files(g, n, &done, err)) {
		return false;
	}
	if (!done.files || !done.network) {
		snprintf(done.words, sizeof done.words, "this kernel cannot keep the run from %s%s%s: it is trusted not to", done.files ? "" : "reading other files",
		        !done.files && !done.network ? " or from " : "", done.network ? "" : "the network");
	}
	*out = done;
	return true;
}
