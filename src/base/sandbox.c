#include "base/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox_filter.h"
#include "base/text.h"

// Descriptors: those of a message and few besides. What the parent sent is memory too, for as long as it is open.
enum { OPEN_FILES_MAX = 16, STACK_MAX = 8 << 20, DETAIL_SIZE = 64, CAPABILITIES_MAX = 64 };
#define ADDRESS_SPACE_MORE ((size_t)1 << 30) // for code, and what libraries reserve and do not use

// What later kernels added to Landlock (ABI 3, 5, 4, 6); the headers of Debian 12 end with ABI 2.
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND_AND_CONNECT UINT64_C(3)
#define SCOPE_ABSTRACT_SOCKET_AND_SIGNAL UINT64_C(3)

enum { LANDLOCK_LEAST = 2 };

struct landlock_attributes { // struct landlock_ruleset_attr as it has grown
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

// Each layer answers 0 or an errno value, and may say more in `detail`.
static int no_new_privileges(const struct sandbox_rules *rules, char *detail)
{
    (void)rules, (void)detail;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

// Root with CAP_SYS_ADMIN needs no user namespace, and in a chroot cannot have one. Without either, each namespace is
// tried alone, so that a reduced sandbox has what there is. No PID namespace: it would hold for children only, which
// seccomp forbids, and forbids threads.
static int own_namespaces(const struct sandbox_rules *rules, char *detail)
{
    static const int each[] = {CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUTS};
    const int all = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    (void)rules;
    if (unshare(all) == 0) {
        text_copy(detail, DETAIL_SIZE, "no user namespace needed");
        return 0;
    }
    if (unshare(all | CLONE_NEWUSER) == 0) {
        text_copy(detail, DETAIL_SIZE, "in a user namespace");
        return 0;
    }
    int number = errno;
    for (size_t i = 0; i < sizeof each / sizeof each[0]; i++)
        (void)unshare(each[i]);
    return number;
}

// A folder that is surely there is covered by an empty, read-only file system, which becomes the root.
static int empty_root(const struct sandbox_rules *rules, char *detail)
{
    if (rules->readable) {
        text_copy(detail, DETAIL_SIZE, "not used: some files stay readable");
        return 0;
    }
    const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 &&
        errno != EINVAL) // EINVAL: the root of a chroot is no mount
        return errno;
    if (mount("none", "/proc", "tmpfs", flags, "size=4k,mode=0555") != 0)
        return errno;
    return chroot("/proc") == 0 && chdir("/") == 0 ? 0 : errno;
}

static bool landlock_allow(int ruleset, const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct landlock_path_beneath_attr attribute = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR, .parent_fd = fd};
    long result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attribute, 0);
    if (result != 0 && errno == EINVAL) { // a file: reading a folder makes no sense there
        attribute.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
        result = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attribute, 0);
    }
    int number = errno;
    close(fd);
    errno = number;
    return result == 0;
}

static struct landlock_attributes landlock_all(long abi, size_t *size)
{
    struct landlock_attributes all = {.fs = (LANDLOCK_ACCESS_FS_REFER << 1) - 1};
    *size = sizeof all.fs;
    if (abi >= 3)
        all.fs |= FS_TRUNCATE;
    if (abi >= 5)
        all.fs |= FS_IOCTL_DEV;
    if (abi >= 4) {
        all.net = NET_BIND_AND_CONNECT;
        *size = offsetof(struct landlock_attributes, scoped);
    }
    if (abi >= 6) {
        all.scoped = SCOPE_ABSTRACT_SOCKET_AND_SIGNAL;
        *size = sizeof all;
    }
    return all;
}

static int landlock(const struct sandbox_rules *rules, char *detail)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return errno;
    snprintf(detail, DETAIL_SIZE, "ABI %ld", abi);
    if (abi < LANDLOCK_LEAST)
        return ENOSYS;
    size_t size;
    struct landlock_attributes all = landlock_all(abi, &size);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    if (ruleset < 0)
        return errno;
    int number = 0;
    for (size_t i = 0; rules->readable && rules->readable[i] && number == 0; i++)
        number = landlock_allow(ruleset, rules->readable[i]) ? 0 : errno;
    if (number == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        number = errno;
    close(ruleset);
    return number;
}

// Bounding and ambient sets too, where the process may change them; without them, no_new_privs keeps exec from giving
// any back.
static int no_capabilities(const struct sandbox_rules *rules, char *detail)
{
    (void)rules, (void)detail;
    for (unsigned long each = 0; each < CAPABILITIES_MAX && prctl(PR_CAPBSET_DROP, each, 0, 0, 0) == 0; each++)
        ;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return syscall(SYS_capset, &header, none) == 0 ? 0 : errno;
}

static bool limit(__rlimit_resource_t resource, rlim_t value)
{
    return setrlimit(resource, &(struct rlimit){.rlim_cur = value, .rlim_max = value}) == 0;
}

// RLIMIT_DATA counts what is private and can be written now. A page that was written and then protected leaves its
// count, and empty mappings without end fill page tables, so the address space has an end too: as much again for what
// is mapped from the parent.
static int memory_limits(const struct sandbox_rules *rules)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)rules; // their shadow memory takes terabytes of address space
#else
    if (!limit(RLIMIT_DATA, rules->memory_max) || !limit(RLIMIT_AS, 2 * rules->memory_max + ADDRESS_SPACE_MORE))
        return errno;
#endif
    return limit(RLIMIT_STACK, STACK_MAX) ? 0 : errno; // the parent's may have none
}

// Not dumpable: a core file, or a collector's pipe, would hold patients' pixels. The death signal is set again because
// entering a user namespace may have cleared it.
static int limits(const struct sandbox_rules *rules, char *detail)
{
    (void)detail;
    int number = memory_limits(rules);
    if (number != 0)
        return number;
    if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NOFILE, OPEN_FILES_MAX))
        return errno;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return errno;
    return 0;
}

static int system_calls(const struct sandbox_rules *rules, char *detail)
{
    (void)detail;
    return sandbox_filter_load(rules->threads);
}

// In this order: Landlock forbids mounting, a process without capabilities cannot change its root, and the filter
// forbids all the rest.
static const struct layer {
    const char *name;
    int (*enter)(const struct sandbox_rules *rules, char *detail);
} layers[] = {
    {"no-new-privileges", no_new_privileges},
    {"namespaces", own_namespaces},
    {"empty root", empty_root},
    {"landlock", landlock},
    {"no capabilities", no_capabilities},
    {"limits", limits},
    {"seccomp", system_calls},
};

enum { LAYER_COUNT = sizeof layers / sizeof layers[0] };

static bool one_thread(struct error *err)
{
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return error_errno(err, errno, "sandbox: /proc/self/task cannot be read; is /proc mounted?");
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(tasks));)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    if (count != 1)
        return error_set(err, ERROR_CONFLICT, "sandbox: %d threads run; it must be entered before the second one",
                         count);
    return true;
}

bool sandbox_enter(const struct sandbox_rules *rules, struct error *err)
{
    if (!one_thread(err))
        return false;
    for (size_t i = 0; i < LAYER_COUNT; i++) {
        char detail[DETAIL_SIZE] = "";
        int number = layers[i].enter(rules, detail);
        if (number != 0 && !rules->reduced)
            return error_set(err, ERROR_FORBIDDEN,
                             "sandbox: this kernel or service manager refuses the layer '%s' (%s%s%s); see "
                             "docs/sandbox.md, or accept "
                             "less with 'sandbox: reduced'",
                             layers[i].name, strerror(number), *detail ? "; " : "", detail);
    }
    return true;
}

// The exit status counts the layers that are missing. Writing and exiting are what the filter, the last layer, allows.
static void probe_in_child(int pipe_end)
{
    const struct sandbox_rules rules = {.memory_max = (size_t)1 << 30, .threads = true};
    int missing = 0;
    for (size_t i = 0; i < LAYER_COUNT; i++) {
        char detail[DETAIL_SIZE] = "", line[DETAIL_SIZE * 3];
        int number = layers[i].enter(&rules, detail);
        const char *more = number != 0 && !*detail ? strerror(number) : detail;
        int size = snprintf(line, sizeof line, "%s%s %s%s%s%s", i > 0 ? ", " : "", layers[i].name,
                            number == 0 ? "yes" : "no", *more ? " (" : "", more, *more ? ")" : "");
        missing += number != 0;
        if (write(pipe_end, line, (size_t)size) != size)
            missing++;
    }
    _exit(missing);
}

static size_t read_all(int fd, char *out, size_t capacity)
{
    size_t size = 0;
    while (size + 1 < capacity) {
        ssize_t got = read(fd, out + size, capacity - 1 - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    out[size] = '\0';
    return size;
}

bool sandbox_probe(char *report, size_t size)
{
    int ends[2];
    text_copy(report, size, "no child process could be made");
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        probe_in_child(ends[1]);
    }
    close(ends[1]);
    int status = -1;
    if (pid > 0) {
        size_t used = read_all(ends[0], report, size);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFSIGNALED(status))
            snprintf(report + used, size - used, ", then killed by signal %d%s", WTERMSIG(status),
                     WTERMSIG(status) == SIGSYS ? " (the service manager's system call filter)" : "");
    }
    close(ends[0]);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
