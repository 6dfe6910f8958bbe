/* privileges.c: how a process gives up what it does not need any more.
 *
 * By system calls of its own and not by libcap and libseccomp: what is wanted is to have nothing left, which
 * is one capset(2), and a list of some thirty calls that fail, which is a filter of two instructions each.
 *
 * The filter says what may not be done, and not what may: a list of all that libc, the resolver and a
 * sanitizer might call would break with their next version, in somebody else's hands. What it forbids is what
 * code that was taken over by a packet would do next: start a program, look into other processes, talk to
 * the network. Files are landlock(7)'s, which knows them by their place and not by the text of a path.
 *
 * A user namespace may not map the user that is to be become (user_namespaces(7)); root is then no more than
 * who made the namespace, and giving up the capabilities is all there is to give up. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <sockeye/privileges.h>

#include "base/base.h"

/* The leak checker reads /proc and traces its own process when that ends. */
#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#else
enum { SANITIZED = 0 };
#endif

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

int eye_user_find(const char *name, struct eye_user *ret_user, struct eye_err *reterr) {
    struct passwd entry, *found = NULL;
    char room[4096];
    uint64_t uid;
    int r = getpwnam_r(name, &entry, room, sizeof room, &found);
    if (!found && text_parse_uint(name, strlen(name), UINT32_MAX - 1, &uid) == 0)
        r = getpwuid_r((uid_t)uid, &entry, room, sizeof room, &found);
    if (!found) {
        r = r ? -r : -ENOENT;
        return err_set(reterr, r, EYE_FAIL_OTHER, "user %s: %s", name,
                       r == -ENOENT ? "there is none of that name" : eye_strerror(r));
    }
    *ret_user = (struct eye_user){.uid = found->pw_uid, .gid = found->pw_gid};
    snprintf(ret_user->name, sizeof ret_user->name, "%s", found->pw_name);
    return 0;
}

/* ---- the user ---- */

/* Whether the namespace has an id: /proc/self/uid_map holds lines of first, outside, count. */
static bool is_mapped(const char *path, unsigned id) {
    unsigned first, outside, count;
    bool found = false;
    FILE *map = fopen(path, "re");
    if (!map)
        return true;
    while (!found && fscanf(map, "%u %u %u", &first, &outside, &count) == 3)
        found = id >= first && id - first < count;
    fclose(map);
    return found;
}

static int drop_user(const struct eye_drop_opts *opts, struct eye_dropped *dropped, struct eye_err *reterr) {
    const struct eye_user *user = opts->user;
    if (geteuid() != 0 || !user || user->uid == 0)
        return 0;
    if (!is_mapped("/proc/self/uid_map", user->uid) || !is_mapped("/proc/self/gid_map", user->gid)) {
        if (!opts->insist)
            return 0;
        return err_set(reterr, -EINVAL, EYE_FAIL_UNAVAILABLE, "user %s: not in this user namespace",
                       user->name);
    }
    if (setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0) {
        int r = -errno;
        err_set(reterr, r, EYE_FAIL_UNAVAILABLE, "becoming user %s: %s", user->name, eye_strerror(r));
        err_cause(reterr, "root here lacks CAP_SETUID or CAP_SETGID; user root keeps it");
        return r;
    }
    dropped->user = true;
    return 0;
}

/* ---- capabilities ---- */

/* While CAP_SETPCAP is held. What stays in the bounding set without it, no_new_privs makes useless. */
static void drop_bounding(void) {
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int drop_capabilities(struct eye_dropped *dropped, struct eye_err *reterr) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(reterr, -errno, EYE_FAIL_UNAVAILABLE, "giving up capabilities: %s",
                       eye_strerror(-errno));
    dropped->capabilities = true;
    return 0;
}

/* ---- files ---- */

enum { MAKES = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE };
enum { READS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR };
#define ACCESS_REFER    (UINT64_C(1) << 13) /* since version 2 */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* since version 3 */

static int landlock_allow(int ruleset, int folder, uint64_t access) {
    const struct landlock_path_beneath_attr beneath = {.allowed_access = access, .parent_fd = folder};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ? -errno : 0;
}

/* root and folder are open already: the user that we have become may not be able to reach them. */
static int drop_files(const struct eye_drop_opts *opts, int root, int folder, struct eye_dropped *dropped,
                      struct eye_err *reterr) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return 0;
    const uint64_t truncate = version >= 3 ? ACCESS_TRUNCATE : 0;
    const struct landlock_ruleset_attr attr = {
        .handled_access_fs = (ACCESS_REFER - 1) | (version >= 2 ? ACCESS_REFER : 0) | truncate};
    AUTO_FD int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    int r = ruleset < 0 ? -errno : 0;
    if (r == 0 && (opts->looks_up || SANITIZED))
        r = landlock_allow(ruleset, root, READS);
    if (r == 0 && folder >= 0)
        r = landlock_allow(ruleset, folder, MAKES | truncate);
    if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        r = -errno;
    if (r < 0)
        return err_set(reterr, r, EYE_FAIL_UNAVAILABLE, "landlock: %s", eye_strerror(r));
    dropped->landlock = true;
    return 0;
}

/* ---- system calls ---- */

#ifdef ARCH
static const struct {
    int call;
    bool for_all; /* and not only where no names are looked up */
} refused[] = {
    {SYS_execve, true},
    {SYS_execveat, true},
    {SYS_ptrace, true},
    {SYS_process_vm_readv, true},
    {SYS_process_vm_writev, true},
    {SYS_pidfd_getfd, true},
    {SYS_mount, true},
    {SYS_umount2, true},
    {SYS_pivot_root, true},
    {SYS_chroot, true},
    {SYS_unshare, true},
    {SYS_setns, true},
    {SYS_init_module, true},
    {SYS_finit_module, true},
    {SYS_delete_module, true},
    {SYS_kexec_load, true},
    {SYS_bpf, true},
    {SYS_perf_event_open, true},
    {SYS_userfaultfd, true},
    {SYS_open_by_handle_at, true},
    {SYS_add_key, true},
    {SYS_request_key, true},
    {SYS_keyctl, true},
    {SYS_socket, false},
    {SYS_socketpair, false},
};

static int drop_calls(const struct eye_drop_opts *opts, struct eye_dropped *dropped, struct eye_err *reterr) {
    /* First what is not of this architecture; of x86-64, its 32-bit pointers' calls too (x32). */
    struct sock_filter code[6 + 2 * ARRAY_LEN(refused)] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    unsigned short used = 5;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if ((opts->looks_up && !refused[i].for_all) || (SANITIZED && refused[i].call == SYS_ptrace))
            continue;
        code[used++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[i].call, 0, 1);
        code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {.len = used, .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
        dropped->seccomp = true;
    else if (errno != EINVAL && errno != ENOSYS) /* a kernel without it */
        return err_set(reterr, -errno, EYE_FAIL_UNAVAILABLE, "seccomp: %s", eye_strerror(-errno));
    return 0;
}
#else
static int drop_calls(const struct eye_drop_opts *opts, struct eye_dropped *dropped, struct eye_err *reterr) {
    (void)opts, (void)dropped, (void)reterr;
    return 0;
}
#endif

int eye_privileges_drop(const struct eye_drop_opts *opts, struct eye_dropped *ret_dropped,
                        struct eye_err *reterr) {
    AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_FD int folder = opts->writes ? open(opts->writes, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    struct eye_dropped dropped = {0};
    int r;
    if (root < 0 || (opts->writes && folder < 0))
        return err_set(reterr, -errno, EYE_FAIL_OTHER, "%s: %s", root < 0 ? "/" : opts->writes,
                       eye_strerror(-errno));
    drop_bounding();
    if ((r = drop_user(opts, &dropped, reterr)) < 0 || (r = drop_capabilities(&dropped, reterr)) < 0 ||
        (r = drop_files(opts, root, folder, &dropped, reterr)) < 0 ||
        (r = drop_calls(opts, &dropped, reterr)) < 0)
        return r;
    *ret_dropped = dropped;
    return 0;
}
