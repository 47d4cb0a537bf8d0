#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "support/check.h"
#include "support/folder.h"

#define MIB ((size_t)1 << 20)
enum { REFUSED_SOFTLY = 40, NOT_REFUSED = 41, SANDBOX_FAILED = 42, CHILD_MEMORY_MIB = 64 };

// ---- what the child does: this program again, argv[1] is "process-child"

static void do_connect(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)!connect(fd, (struct sockaddr *)&to, sizeof to);
}

static void do_fork(void)
{
    if (fork() == 0)
        _exit(0);
}

static void do_exec(void)
{
    execl("/proc/self/exe", "exe", (char *)NULL);
}

static void do_open_for_writing(void)
{
    (void)!open("/tmp/hilum-test-process", O_WRONLY | O_CREAT, 0600);
}

static void do_append(void)
{
    (void)!open("/tmp/hilum-test-process", O_RDONLY | O_CREAT, 0600);
}

static void do_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)do_fork, NULL);
}

static void do_signal_parent(void)
{
    kill(getppid(), SIGTERM);
}

static void do_trace_parent(void)
{
    ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static void do_executable_memory(void)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_make_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)!mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void do_shared_memory(void)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

// Memory that RLIMIT_DATA does not count, each in its own way.
static void map_with(int flags)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void do_further_stack(void)
{
    map_with(MAP_GROWSDOWN);
}

static void do_huge_pages(void)
{
    map_with(MAP_HUGETLB);
}

static void do_memory_file(void)
{
    (void)!memfd_create("more", 0);
}

static void do_shared_segment(void)
{
    (void)!shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
}

static void do_grow_down(void)
{
    char here[1];
    (void)!mprotect((void *)((uintptr_t)here & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE | PROT_GROWSDOWN);
}

static int deeper(int depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    return depth == 1 << 18 ? 0 : deeper(depth + 1) + frame[0];
}

static void do_recurse(void)
{
    deeper(0);
}

// Pages that were written and then protected are no data any more.
static void do_write_and_protect(void)
{
    for (;;) {
        char *more = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED)
            _exit(REFUSED_SOFTLY);
        memset(more, 1, 4 * MIB);
        mprotect(more, 4 * MIB, PROT_READ);
    }
}

static void do_map_without_end(void)
{
    for (int i = 0; i < 64; i++)
        if (mmap(NULL, 256 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            _exit(REFUSED_SOFTLY);
}

// Pages of a file in memory that came over the socket.
static void do_fill_what_comes(void)
{
    struct process self = {.socket = PROCESS_SOCKET};
    char message[16];
    size_t size, count = 1;
    int fd;
    struct error err;
    if (!process_receive(&self, 0, message, sizeof message, &size, &fd, &count, &err) || count != 1)
        _exit(1);
    uint8_t *pages = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (pages == MAP_FAILED)
        _exit(2);
    memset(pages, 1, 256 * MIB);
    for (;;)
        pause();
}

static void do_keep_what_comes(void)
{
    struct process self = {.socket = PROCESS_SOCKET};
    char message[16];
    size_t size, count;
    int fds[2];
    struct error err;
    do
        count = 2;
    while (process_receive(&self, 0, message, sizeof message, &size, fds, &count, &err) && count == 2 &&
           process_send(PROCESS_SOCKET, message, size, NULL, 0, &err));
    _exit(REFUSED_SOFTLY);
}

static void do_crash(void)
{
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void do_hang(void)
{
    for (;;)
        clock_sleep_ns(CLOCK_SECOND);
}

static void do_read_files(void)
{
    static const char *const paths[] = {"/etc/passwd", "/proc/self/maps", "/proc/1/environ", "/dev/null",
                                        "/sys/kernel"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (open(paths[i], O_RDONLY) >= 0)
            return;
    _exit(REFUSED_SOFTLY);
}

// Up to what the limit refuses, or until the parent's watch ends it.
static void do_eat_memory(void)
{
    for (;;) {
        char *more = malloc(4 * MIB);
        if (!more)
            _exit(REFUSED_SOFTLY);
        memset(more, 1, 4 * MIB);
    }
}

static void do_answer(void)
{
    struct process self = {.socket = PROCESS_SOCKET};
    char message[64];
    size_t size, count = 2;
    int fds[2];
    struct error err;
    if (!process_receive(&self, 0, message, sizeof message, &size, fds, &count, &err) || count != 2)
        _exit(1);
    char data[5];
    if (!file_pread(fds[0], data, sizeof data, 0, &err) || pwrite(fds[0], "x", 1, 0) == 1 || errno != EPERM)
        _exit(2);
    if (!file_pwrite(fds[1], data, sizeof data, 3, &err) || pwrite(fds[1], "x", 1, 8) == 1 || errno != EPERM)
        _exit(3);
    (void)process_send(PROCESS_SOCKET, message, size, NULL, 0, &err);
}

static void do_flood(void)
{
    static char long_message[4096];
    struct error err;
    (void)process_send(PROCESS_SOCKET, long_message, sizeof long_message, NULL, 0, &err);
    do_hang();
}

// What the program's log shows must be the program's own.
static void do_forge(void)
{
    static const char line[] = "2026-11-24T12:00:00.000Z info    audit    all is well\n";
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0 && lseek(STDERR_FILENO, 0, SEEK_SET) < 0 &&
        pwrite(STDERR_FILENO, line, sizeof line - 1, 0) < 0)
        _exit(REFUSED_SOFTLY);
}

static void do_pin_parent(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(getppid(), sizeof first, &first) != 0)
        _exit(REFUSED_SOFTLY);
}

static void *wait_for_ever(void *unused)
{
    do_hang();
    return unused;
}

static void do_breed(void)
{
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, (size_t)16 << 10);
    while (pthread_create(&thread, &small, wait_for_ever, NULL) == 0)
        continue;
    do_hang();
}

static const struct act {
    const char *name;
    void (*run)(void);
} acts[] = {
    {"connect", do_connect},
    {"fork", do_fork},
    {"exec", do_exec},
    {"open", do_open_for_writing},
    {"create", do_append},
    {"thread", do_thread},
    {"signal", do_signal_parent},
    {"trace", do_trace_parent},
    {"executable", do_executable_memory},
    {"turn", do_make_executable},
    {"shared", do_shared_memory},
    {"crash", do_crash},
    {"hang", do_hang},
    {"read", do_read_files},
    {"eat", do_eat_memory},
    {"answer", do_answer},
    {"flood", do_flood},
    {"forge", do_forge},
    {"pin", do_pin_parent},
    {"breed", do_breed},
    {"stack", do_further_stack},
    {"huge", do_huge_pages},
    {"memfd", do_memory_file},
    {"shm", do_shared_segment},
    {"grow", do_grow_down},
    {"recurse", do_recurse},
    {"protect", do_write_and_protect},
    {"endless", do_map_without_end},
    {"keep", do_keep_what_comes},
    {"fill", do_fill_what_comes},
};

static void enter_sandbox(size_t memory_max, const char *const *readable, bool threads)
{
    struct error err;
    const struct sandbox_rules rules = {.memory_max = memory_max, .readable = readable, .threads = threads};
    if (!sandbox_enter(&rules, &err)) {
        fprintf(stderr, "%s\n", err.message);
        _exit(SANDBOX_FAILED);
    }
}

// "process-child ACT [MEMORY_MIB]"
int process_child_main(int argc, char **argv)
{
    enter_sandbox(argc > 3 ? strtoul(argv[3], NULL, 10) * MIB : CHILD_MEMORY_MIB * MIB, NULL,
                  argc > 2 && (strcmp(argv[2], "breed") == 0 || strcmp(argv[2], "pin") == 0));
    for (size_t i = 0; argc > 2 && i < sizeof acts / sizeof acts[0]; i++)
        if (strcmp(argv[2], acts[i].name) == 0) {
            acts[i].run();
            _exit(NOT_REFUSED);
        }
    _exit(1);
}

// "process-reader FOLDER": what is in the folder may be read, nothing else.
int process_reader_main(int argc, char **argv)
{
    if (argc < 3)
        _exit(1);
    char inside[256];
    snprintf(inside, sizeof inside, "%s/weights", argv[2]);
    enter_sandbox(CHILD_MEMORY_MIB * MIB, (const char *const[]){argv[2], NULL}, false);
    if (open(inside, O_RDONLY) < 0)
        _exit(2);
    do_read_files();
    _exit(NOT_REFUSED);
}

// "process-parent": starts a hanging child, tells its pid, and is killed by the test.
int process_parent_main(void)
{
    struct process child;
    struct error err;
    if (!process_start(&child, (const char *[]){"process-child", "hang", NULL}, CHILD_MEMORY_MIB * MIB, &err))
        _exit(1);
    (void)process_send(PROCESS_SOCKET, &child.pid, sizeof child.pid, NULL, 0, &err);
    do_hang();
    return 1;
}

// ---- the tests

static struct process started(const char *act, const char *memory_mib, size_t watched_mib)
{
    struct process process;
    struct error err;
    assert_ok(
        process_start(&process, (const char *[]){"process-child", act, memory_mib, NULL}, watched_mib * MIB, &err),
        err);
    return process;
}

// Waits for the child's end and says what it was.
static enum error_code end_of(struct process *process, char *why)
{
    char message[16];
    size_t size;
    struct error err = {0};
    if (process_receive(process, 10 * CLOCK_SECOND, message, sizeof message, &size, NULL, NULL, &err))
        fail_msg("the child answered");
    process_stop(process, why);
    return err.code;
}

static void assert_ends(const char *act, const char *expected)
{
    char why[PROCESS_WHY_SIZE];
    struct process process = started(act, NULL, 1024);
    assert_int_equal(end_of(&process, why), ERROR_CLOSED);
    if (strncmp(why, expected, strlen(expected)) != 0)
        fail_msg("%s: '%s', not '%s'", act, why, expected);
}

static void system_calls_outside_the_list_kill_the_child(void **state)
{
    static const char *const forbidden[] = {"connect", "fork",  "exec",       "open", "create", "thread",
                                            "signal",  "trace", "executable", "turn", "shared"};
    (void)state;
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        assert_ends(forbidden[i], "signal 31 (Bad system call: against the sandbox's rules)");
}

static void memory_that_no_limit_counts_kills_the_child(void **state)
{
    static const char *const forbidden[] = {"stack", "huge", "memfd", "shm", "grow"};
    (void)state;
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        assert_ends(forbidden[i], "signal 31 (Bad system call: against the sandbox's rules)");
}

static void no_file_can_be_read(void **state)
{
    (void)state;
    assert_ends("read", "exit 40");
}

static void a_readable_folder_and_nothing_else_can_be_read(void **state)
{
    (void)state;
    char folder[64], path[80], why[PROCESS_WHY_SIZE];
    struct error err;
    struct process process;
    folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/weights", folder);
    assert_ok(file_replace(path, "w", 1, 0600, &err), err);
    assert_ok(process_start(&process, (const char *[]){"process-reader", folder, NULL}, 1024 * MIB, &err), err);
    assert_int_equal(end_of(&process, why), ERROR_CLOSED);
    assert_string_equal(why, "exit 40");
    folder_delete(folder);
}

static void a_crash_is_told(void **state)
{
    (void)state;
    assert_ends("crash", "signal 11 (Segmentation fault)");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they reserve more than any limit
static void memory_ends_at_the_childs_own_limit(void **state)
{
    (void)state;
    assert_ends("eat", "exit 40");
}

static void the_address_space_has_an_end(void **state)
{
    (void)state;
    assert_ends("endless", "exit 40");
}

// Whatever the limits of the shell that started the server.
static void the_stack_has_an_end(void **state)
{
    struct rlimit before, none;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    none = (struct rlimit){.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_STACK, &none), 0);
    assert_ends("recurse", "signal 11 (Segmentation fault)");
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
}

static void the_watch_sees_memory_that_is_no_data_any_more(void **state)
{
    (void)state;
    char why[PROCESS_WHY_SIZE];
    struct process process = started("protect", "128", 128);
    assert_int_equal(end_of(&process, why), ERROR_LIMIT);
    assert_string_equal(why, "more memory than 128 MiB");
}
#endif

static void the_watch_kills_a_memory_eater(void **state)
{
    (void)state;
    char why[PROCESS_WHY_SIZE];
    struct process process = started("eat", "16384", 128);
    assert_int_equal(end_of(&process, why), ERROR_LIMIT);
    assert_string_equal(why, "more memory than 128 MiB");
}

static void the_watch_sees_memory_that_is_shared_with_the_parent(void **state)
{
    (void)state;
    char why[PROCESS_WHY_SIZE];
    struct error err;
    int fd = process_memfd_open("pages", 256 * MIB, &err);
    assert_true(fd >= 0);
    struct process process = started("fill", "16384", 128);
    assert_ok(process_send(process.socket, "ping", 4, &fd, 1, &err), err);
    close(fd);
    assert_int_equal(end_of(&process, why), ERROR_LIMIT);
    assert_string_equal(why, "more memory than 128 MiB");
}

// Nobody has asked it for anything.
static void a_child_is_watched_between_requests(void **state)
{
    (void)state;
    char why[PROCESS_WHY_SIZE];
    siginfo_t end = {0};
    struct process process = started("eat", "16384", 128);
    assert_int_equal(waitid(P_PID, (id_t)process.pid, &end, WEXITED | WNOWAIT), 0);
    assert_int_equal(end.si_code, CLD_KILLED);
    assert_false(process_is_quiet(&process));
    process_stop(&process, why);
    assert_string_equal(why, "more memory than 128 MiB");
}

static void a_quiet_child_is_quiet_and_one_that_speaks_unasked_is_not(void **state)
{
    (void)state;
    struct process process = started("hang", NULL, 1024);
    assert_true(process_is_quiet(&process));
    process_stop(&process, NULL);
    assert_false(process_is_quiet(&process));
    process = started("flood", NULL, 1024);
    struct pollfd poller = {.fd = process.socket, .events = POLLIN};
    assert_int_equal(poll(&poller, 1, 10000), 1);
    assert_false(process_is_quiet(&process));
    assert_false(process.closed);
    process_stop(&process, NULL);
}

// What the parent sent stays in memory for as long as a child holds it.
static void a_child_can_keep_only_so_much_of_what_it_was_sent(void **state)
{
    (void)state;
    char message[16], why[PROCESS_WHY_SIZE];
    size_t size, answers = 0;
    struct error err;
    struct process process = started("keep", NULL, 1024);
    for (bool ok = true; ok && answers < 40; answers += ok) {
        int fds[2] = {process_memfd("in", "hello", 5, true, &err), process_memfd("out", NULL, 8, false, &err)};
        ok = process_send(process.socket, "ping", 4, fds, 2, &err) &&
             process_receive(&process, 10 * CLOCK_SECOND, message, sizeof message, &size, NULL, NULL, &err);
        close(fds[0]);
        close(fds[1]);
    }
    assert_in_range(answers, PROCESS_FDS_MAX / 2, 8);
    assert_int_equal(err.code, ERROR_CLOSED);
    process_stop(&process, why);
    assert_string_equal(why, "exit 40");
}

static void the_watch_kills_a_breeder_of_threads(void **state)
{
    (void)state;
    char why[PROCESS_WHY_SIZE];
    struct process process = started("breed", "16384", 16384);
    assert_int_equal(end_of(&process, why), ERROR_LIMIT);
    assert_string_equal(why, "more threads than 128");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // they report there
static void nothing_is_written_into_the_log(void **state)
{
    (void)state;
    assert_ends("forge", "exit 40");
}
#endif

static void the_parent_is_not_pinned_to_a_processor(void **state)
{
    (void)state;
    assert_ends("pin", "exit 40");
}

static void a_hanging_child_costs_the_timeout_only(void **state)
{
    (void)state;
    char message[16], why[PROCESS_WHY_SIZE];
    size_t size;
    struct error err;
    struct process process = started("hang", NULL, 1024);
    int64_t start = clock_monotonic_ns();
    assert_false(process_receive(&process, CLOCK_SECOND / 5, message, sizeof message, &size, NULL, NULL, &err));
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_true(clock_monotonic_ns() - start < 2 * CLOCK_SECOND);
    pid_t pid = process.pid;
    process_stop(&process, why);
    assert_string_equal(why, "still running, killed");
    assert_int_equal(kill(pid, 0), -1);
}

static void memory_files_travel_and_cannot_be_changed_or_grown(void **state)
{
    (void)state;
    struct error err;
    char answer[16], out[8], why[PROCESS_WHY_SIZE];
    size_t size;
    int fds[] = {process_memfd("in", "hello", 5, true, &err), process_memfd("out", NULL, 8, false, &err)};
    assert_true(fds[0] >= 0 && fds[1] >= 0);
    struct process process = started("answer", NULL, 1024);
    assert_ok(process_send(process.socket, "ping", 4, fds, 2, &err), err);
    if (!process_receive(&process, 10 * CLOCK_SECOND, answer, sizeof answer, &size, NULL, NULL, &err)) {
        process_stop(&process, why);
        fail_msg("%s: %s", err.message, why);
    }
    assert_int_equal(size, 4);
    assert_memory_equal(answer, "ping", 4);
    assert_ok(file_pread(fds[1], out, sizeof out, 0, &err), err);
    assert_memory_equal(out, "\0\0\0hello", 8);
    process_stop(&process, NULL);
    close(fds[0]);
    close(fds[1]);
}

static void a_longer_message_than_asked_for_is_refused(void **state)
{
    (void)state;
    char message[16];
    size_t size;
    struct error err;
    struct process process = started("flood", NULL, 1024);
    assert_false(process_receive(&process, 10 * CLOCK_SECOND, message, sizeof message, &size, NULL, NULL, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    process_stop(&process, NULL);
}

static void a_message_to_an_ended_child_is_closed(void **state)
{
    (void)state;
    char message[16];
    size_t size;
    struct error err;
    struct process process = started("crash", NULL, 1024);
    assert_false(process_receive(&process, 10 * CLOCK_SECOND, message, sizeof message, &size, NULL, NULL, &err));
    assert_false(process_send(process.socket, "x", 1, NULL, 0, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    process_stop(&process, NULL);
}

static void *start_in_thread(void *payload)
{
    *(struct process *)payload = started("hang", NULL, 1024);
    return NULL;
}

static void a_child_outlives_the_thread_that_asked_for_it(void **state)
{
    (void)state;
    struct process process;
    char message[16], why[PROCESS_WHY_SIZE];
    size_t size;
    struct error err;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, start_in_thread, &process), 0);
    pthread_join(thread, NULL);
    assert_false(process_receive(&process, CLOCK_SECOND / 5, message, sizeof message, &size, NULL, NULL, &err));
    assert_int_equal(err.code, ERROR_TIMEOUT);
    process_stop(&process, why);
    assert_string_equal(why, "still running, killed");
}

static void a_child_dies_with_its_parent(void **state)
{
    (void)state;
    struct process parent;
    struct error err;
    pid_t grandchild;
    size_t size;
    assert_ok(process_start(&parent, (const char *[]){"process-parent", NULL}, 1024 * MIB, &err), err);
    assert_ok(process_receive(&parent, 10 * CLOCK_SECOND, &grandchild, sizeof grandchild, &size, NULL, NULL, &err),
              err);
    assert_int_equal(kill(grandchild, 0), 0);
    clock_sleep_ns(CLOCK_SECOND / 5); // well inside its sandbox
    process_stop(&parent, NULL);
    char path[64], line[256] = "";
    for (int i = 0; i < 200; i++) { // an orphan may stay a zombie for a while, if nobody reaps it
        snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild);
        FILE *stat = fopen(path, "re");
        if (!stat)
            return;
        bool read = fgets(line, sizeof line, stat) != NULL;
        fclose(stat);
        const char *bracket = strrchr(line, ')');
        if (!read || (bracket && (bracket[2] == 'Z' || bracket[2] == 'X')))
            return;
        clock_sleep_ns(10 * CLOCK_MS);
    }
    fail_msg("the child lives on: %s", line);
}

static void *wait_on_pipe(void *payload)
{
    char byte;
    (void)!read(*(int *)payload, &byte, 1);
    return NULL;
}

static void a_process_with_threads_cannot_enter(void **state)
{
    (void)state;
    struct error err;
    pthread_t thread;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_on_pipe, &ends[0]), 0);
    assert_false(sandbox_enter(&(struct sandbox_rules){.memory_max = MIB}, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
}

static void the_probe_names_every_layer(void **state)
{
    (void)state;
    char report[512];
    bool all = sandbox_probe(report, sizeof report);
    print_message("%s\n", report);
    assert_true(all);
    assert_non_null(strstr(report, "namespaces yes"));
    assert_non_null(strstr(report, "landlock yes (ABI "));
    assert_non_null(strstr(report, "seccomp yes"));
}

int test_process(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_probe_names_every_layer),
        cmocka_unit_test(a_process_with_threads_cannot_enter),
        cmocka_unit_test(system_calls_outside_the_list_kill_the_child),
        cmocka_unit_test(memory_that_no_limit_counts_kills_the_child),
        cmocka_unit_test(no_file_can_be_read),
        cmocka_unit_test(a_readable_folder_and_nothing_else_can_be_read),
        cmocka_unit_test(a_crash_is_told),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(memory_ends_at_the_childs_own_limit),
        cmocka_unit_test(the_address_space_has_an_end),
        cmocka_unit_test(the_stack_has_an_end),
        cmocka_unit_test(the_watch_sees_memory_that_is_no_data_any_more),
#endif
        cmocka_unit_test(the_watch_kills_a_memory_eater),
        cmocka_unit_test(a_child_is_watched_between_requests),
        cmocka_unit_test(a_quiet_child_is_quiet_and_one_that_speaks_unasked_is_not),
        cmocka_unit_test(a_child_can_keep_only_so_much_of_what_it_was_sent),
        cmocka_unit_test(the_watch_kills_a_breeder_of_threads),
        cmocka_unit_test(the_watch_sees_memory_that_is_shared_with_the_parent),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(nothing_is_written_into_the_log),
#endif
        cmocka_unit_test(the_parent_is_not_pinned_to_a_processor),
        cmocka_unit_test(a_hanging_child_costs_the_timeout_only),
        cmocka_unit_test(memory_files_travel_and_cannot_be_changed_or_grown),
        cmocka_unit_test(a_longer_message_than_asked_for_is_refused),
        cmocka_unit_test(a_message_to_an_ended_child_is_closed),
        cmocka_unit_test(a_child_outlives_the_thread_that_asked_for_it),
        cmocka_unit_test(a_child_dies_with_its_parent),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
