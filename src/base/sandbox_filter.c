#include "base/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CALL(name) SCMP_SYS(name)

// Everything here acts on what the process holds already: its memory, its descriptors, its own threads.
static const int allowed[] = {
    CALL(read),
    CALL(readv),
    CALL(pread64),
    CALL(recvmsg),
    CALL(sendmsg),
    CALL(poll),
    CALL(ppoll),
    CALL(close),
    CALL(fstat),
    CALL(newfstatat),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(brk),
    CALL(futex),
    CALL(exit),
    CALL(exit_group),
    CALL(rt_sigreturn),
    CALL(rt_sigprocmask),
    CALL(rt_sigaction),
    CALL(sigaltstack),
    CALL(getpid),
    CALL(gettid),
    CALL(getppid),
    CALL(getuid),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(gettimeofday),
    CALL(sched_yield),
    CALL(getrandom),
    CALL(restart_syscall),
    CALL(sched_getaffinity),
    CALL(getcpu),
    CALL(sysinfo),
    CALL(uname),
    CALL(getrusage),
    CALL(membarrier),
    CALL(mincore),
};

// Refused softly on stderr: it is the program's log, in which a child that was taken over could write what it likes,
// and over what is there.
static const int allowed_past_stderr[] = {CALL(write), CALL(writev), CALL(pwrite64), CALL(lseek)};

static const int allowed_with_threads[] = {CALL(set_robust_list), CALL(rseq)};

// Asked by libraries as a matter of course; an error is answer enough, and nothing is done.
static const struct {
    int call;
    int error;
} refused[] = {
    {CALL(ioctl), ENOTTY},     {CALL(readlink), EACCES},   {CALL(readlinkat), EACCES}, {CALL(access), EACCES},
    {CALL(faccessat), EACCES}, {CALL(getdents64), EACCES}, {CALL(stat), EACCES},       {CALL(lstat), EACCES},
    {CALL(statx), ENOSYS},     {CALL(fadvise64), ENOSYS},  {CALL(open), EACCES},       {CALL(sched_setaffinity), EPERM},
};

// A call allowed when (argument & mask) == value.
static int allow_masked(scmp_filter_ctx filter, int call, unsigned argument, uint64_t mask, uint64_t value)
{
    struct scmp_arg_cmp compare = {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare);
}

static int allow_equal(scmp_filter_ctx filter, int call, unsigned argument, uint64_t value)
{
    struct scmp_arg_cmp compare = {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value};
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare);
}

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return result;
}

static int allow_past_stderr(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp others = {.arg = 0, .op = SCMP_CMP_GT, .datum_a = STDERR_FILENO};
    const struct scmp_arg_cmp standard = {.arg = 0, .op = SCMP_CMP_LE, .datum_a = STDERR_FILENO};
    int result = 0;
    for (size_t i = 0; i < sizeof allowed_past_stderr / sizeof allowed_past_stderr[0] && result == 0; i++) {
        result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed_past_stderr[i], 1, &others);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) // they report there
        const uint32_t answer = SCMP_ACT_ALLOW;
#else
        const uint32_t answer = SCMP_ACT_ERRNO(EBADF);
#endif
        if (result == 0)
            result = seccomp_rule_add_array(filter, answer, allowed_past_stderr[i], 1, &standard);
    }
    return result;
}

// Memory is never executable. What RLIMIT_DATA or the watch does not count is not to be had: shared memory but over a
// descriptor, further stacks, huge pages.
static int allow_memory(scmp_filter_ctx filter)
{
    const uint64_t uncounted = MAP_GROWSDOWN | MAP_HUGETLB;
    struct scmp_arg_cmp private[] = {
        {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0},
        {.arg = 3, .op = SCMP_CMP_MASKED_EQ, .datum_a = MAP_SHARED | uncounted, .datum_b = 0},
    };
    struct scmp_arg_cmp shared[] = {
        {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC, .datum_b = 0},
        {.arg = 3, .op = SCMP_CMP_MASKED_EQ, .datum_a = MAP_SHARED | MAP_ANONYMOUS | uncounted, .datum_b = MAP_SHARED},
    };
    int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CALL(mmap), 2, private);
    if (result == 0)
        result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CALL(mmap), 2, shared);
    if (result == 0)
        result = allow_masked(filter, CALL(mprotect), 2, PROT_EXEC | PROT_GROWSDOWN | PROT_GROWSUP, 0);
    return result;
}

// Opening for reading only: Landlock and the empty root say what. An abort() may signal this process alone.
static int allow_narrowly(scmp_filter_ctx filter)
{
    int result = allow_masked(filter, CALL(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY);
    if (result == 0)
        result = allow_equal(filter, CALL(tgkill), 0, (uint64_t)getpid());
    if (result == 0)
        result = allow_equal(filter, CALL(prctl), 0, PR_SET_NAME);
    if (result == 0)
        result = allow_equal(filter, CALL(fcntl), 1, F_GETFL);
    if (result == 0)
        result = allow_equal(filter, CALL(fcntl), 1, F_GETFD);
    return result;
}

// clone3 takes its flags in memory, where a filter cannot look: told that it does not exist, glibc uses clone.
static int allow_threads(scmp_filter_ctx filter)
{
    const uint64_t mask = CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_PARENT;
    int result = allow_all(filter, allowed_with_threads, sizeof allowed_with_threads / sizeof allowed_with_threads[0]);
    if (result == 0)
        result = allow_masked(filter, CALL(clone), 0, mask, CLONE_THREAD);
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0);
    return result;
}

static int refuse_softly(scmp_filter_ctx filter)
{
    int result = 0;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0] && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)refused[i].error), refused[i].call, 0);
    return result;
}

static int fill(scmp_filter_ctx filter, bool threads)
{
    int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); // a binary tree: the list is long
    if (result == 0)
        result = allow_all(filter, allowed, sizeof allowed / sizeof allowed[0]);
    if (result == 0)
        result = allow_past_stderr(filter);
    if (result == 0)
        result = allow_memory(filter);
    if (result == 0)
        result = allow_narrowly(filter);
    if (result == 0)
        result = refuse_softly(filter);
    if (result == 0 && threads)
        result = allow_threads(filter);
    return result;
}

int sandbox_filter_load(bool threads)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return ENOMEM;
    int result = fill(filter, threads);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    return -result;
}
