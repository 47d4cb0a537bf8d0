#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process_watch.h"
#include "base/text.h"

enum {
    SEND_SECONDS = 10,    // a child that reads nothing for so long is taken for stuck
    LAST_BREATH_MS = 500, // from the socket's end to the exit status
    EXEC_FAILED = 127
};

// ---- starting
//
// The kernel sends a child its death signal when the THREAD that forked it ends, and callers are threads of connections
// that come and go. So one thread, which lives as long as the process, does all the forking.

struct start_request {
    char *argv[PROCESS_ARGUMENTS_MAX + 2];
    int socket;
    pid_t pid;
    int number; // errno value when it failed
    bool done;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct start_request *request; // at most one at a time
    bool running;
} starter = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void report_and_exit(int pipe_end)
{
    int number = errno;
    if (write(pipe_end, &number, sizeof number) < 0)
        _exit(EXEC_FAILED);
    _exit(EXEC_FAILED);
}

// Moves `fd` away from the places 0 to PROCESS_SOCKET, which are about to be filled.
static int move_up(int fd)
{
    return fd > PROCESS_SOCKET ? fd : fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_SOCKET + 1);
}

// Between fork and exec in a program with threads: only calls that are safe in a signal handler.
static void become_child(const struct start_request *request, pid_t parent, int pipe_end)
{
    static char *const empty[] = {NULL};
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    pipe_end = move_up(pipe_end);
    int socket = move_up(request->socket);
    if (pipe_end < 0 || socket < 0)
        _exit(EXEC_FAILED);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        report_and_exit(pipe_end);
    int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0)
        nothing = STDERR_FILENO; // a bare root without /dev
    if (dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(socket, PROCESS_SOCKET) < 0)
        report_and_exit(pipe_end);
    if (pipe_end != PROCESS_SOCKET + 1 && dup3(pipe_end, PROCESS_SOCKET + 1, O_CLOEXEC) < 0)
        report_and_exit(pipe_end);
    if (close_range(PROCESS_SOCKET + 2, ~0U, 0) != 0)
        report_and_exit(PROCESS_SOCKET + 1);
    execve("/proc/self/exe", request->argv, empty);
    report_and_exit(PROCESS_SOCKET + 1);
}

static void start_one(struct start_request *request)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0) {
        request->number = errno;
        return;
    }
    request->pid = fork();
    if (request->pid == 0)
        become_child(request, parent, ends[1]);
    if (request->pid < 0)
        request->number = errno;
    close(ends[1]);
    int number = 0;
    ssize_t got;
    while ((got = read(ends[0], &number, sizeof number)) < 0 && errno == EINTR)
        ;
    if (got > 0) {
        request->number = number != 0 ? number : ECHILD;
        waitpid(request->pid, NULL, 0);
    }
    close(ends[0]);
}

static void *starter_main(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&starter.lock);
    for (;;) {
        while (!starter.request || starter.request->done)
            pthread_cond_wait(&starter.changed, &starter.lock);
        start_one(starter.request);
        starter.request->done = true;
        pthread_cond_broadcast(&starter.changed);
    }
    return NULL;
}

// With the lock held. All signals are blocked in the thread: they are for the threads that asked for them.
static int starter_ready(void)
{
    if (starter.running)
        return 0;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&thread, NULL, starter_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number == 0)
        pthread_detach(thread);
    starter.running = number == 0;
    return number;
}

static void start_by_starter(struct start_request *request)
{
    pthread_mutex_lock(&starter.lock);
    request->number = starter_ready();
    if (request->number == 0) {
        while (starter.request)
            pthread_cond_wait(&starter.changed, &starter.lock);
        starter.request = request;
        pthread_cond_broadcast(&starter.changed);
        while (!request->done)
            pthread_cond_wait(&starter.changed, &starter.lock);
        starter.request = NULL;
        pthread_cond_broadcast(&starter.changed);
    }
    pthread_mutex_unlock(&starter.lock);
}

bool process_start(struct process *process, const char *const *arguments, size_t memory_max, struct error *err)
{
    static char name[] = "hilum";
    struct start_request request = {.argv = {name}};
    size_t count = 0;
    for (; arguments[count]; count++) {
        if (count == PROCESS_ARGUMENTS_MAX)
            return error_set(err, ERROR_LIMIT, "child '%s': more than %d arguments", arguments[0],
                             PROCESS_ARGUMENTS_MAX);
        request.argv[count + 1] = (char *)(uintptr_t)arguments[count]; // execve's signature; nothing writes there
    }
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return error_errno(err, errno, "child '%s': no socket", arguments[0]);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = SEND_SECONDS}, sizeof(struct timeval));
    request.socket = ends[1];
    start_by_starter(&request);
    close(ends[1]);
    if (request.number != 0) {
        close(ends[0]);
        return error_errno(err, request.number, "child '%s' cannot be started from /proc/self/exe", arguments[0]);
    }
    *process = (struct process){.pid = request.pid, .socket = ends[0]};
    if (process_watch_begin(process->pid, memory_max, err))
        return true;
    process_stop(process, NULL);
    return false;
}

// ---- ending

static void say_status(int status, bool killed, char *why)
{
    if (killed)
        snprintf(why, PROCESS_WHY_SIZE, "still running, killed");
    else if (WIFEXITED(status))
        snprintf(why, PROCESS_WHY_SIZE, "exit %d", WEXITSTATUS(status));
    else
        snprintf(why, PROCESS_WHY_SIZE, "signal %d (%s%s)", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGSYS ? ": against the sandbox's rules" : "");
}

// Whether the child has ended by itself. When its socket closed it is about to.
static bool has_ended(const struct process *process, int *status)
{
    for (int waited = 0;; waited++) {
        pid_t pid = waitpid(process->pid, status, WNOHANG);
        if (pid != 0)
            return pid == process->pid;
        if (!process->closed || waited >= LAST_BREATH_MS)
            return false;
        clock_sleep_ns(CLOCK_MS);
    }
}

void process_stop(struct process *process, char *why)
{
    int status = 0;
    char watched[PROCESS_WHY_SIZE];
    process_watch_killed(process->pid, watched);
    process_watch_end(process->pid);
    bool killed = !has_ended(process, &status);
    if (killed) {
        kill(process->pid, SIGKILL);
        while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (why && watched[0])
        text_copy(why, PROCESS_WHY_SIZE, watched);
    else if (why)
        say_status(status, killed, why);
    close(process->socket);
    *process = (struct process){.socket = -1};
}

// ---- messages

union control {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * PROCESS_FDS_MAX)];
};

bool process_send(int socket, const void *message, size_t size, const int *fds, size_t fd_count, struct error *err)
{
    if (size > PROCESS_MESSAGE_MAX || fd_count > PROCESS_FDS_MAX)
        return error_set(err, ERROR_LIMIT, "message of %zu bytes and %zu descriptors between processes", size,
                         fd_count);
    union control control = {0};
    struct iovec piece = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd_count > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *first = CMSG_FIRSTHDR(&header);
        *first = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * fd_count)};
        memcpy(CMSG_DATA(first), fds, sizeof(int) * fd_count);
    }
    while (sendmsg(socket, &header, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EPIPE || errno == ECONNRESET)
            return error_set(err, ERROR_CLOSED, "the other process has ended");
        if (errno == EAGAIN)
            return error_set(err, ERROR_TIMEOUT, "the other process has read nothing for %d s", SEND_SECONDS);
        return error_errno(err, errno, "message to another process");
    }
    return true;
}

// Until the socket can be read.
static bool wait_for(const struct process *process, int64_t timeout_ns, struct error *err)
{
    int64_t now = clock_monotonic_ns();
    const int64_t deadline = timeout_ns > 0 ? now + timeout_ns : INT64_MAX;
    for (;;) {
        int64_t wait_ms = deadline == INT64_MAX ? -1 : (deadline - now + CLOCK_MS - 1) / CLOCK_MS;
        struct pollfd poller = {.fd = process->socket, .events = POLLIN};
        int ready = poll(&poller, 1, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return error_errno(err, errno, "waiting for another process");
        now = clock_monotonic_ns();
        if (now >= deadline)
            return error_set(err, ERROR_TIMEOUT, "no answer from the child process within %.1f s",
                             (double)timeout_ns / 1e9);
    }
}

bool process_is_quiet(struct process *process)
{
    struct pollfd poller = {.fd = process->socket, .events = POLLIN};
    if (process->pid == 0)
        return false;
    bool quiet = poll(&poller, 1, 0) == 0;
    process->closed |= (poller.revents & POLLHUP) != 0;
    return quiet;
}

// Takes the descriptors out of a received message; those past `capacity` are closed. The number that came.
static size_t take_fds(struct msghdr *header, int *fds, size_t capacity)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t inside = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < inside; i++, count++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (count < capacity)
                fds[count] = fd;
            else
                close(fd);
        }
    }
    return count;
}

static bool told_end(struct process *process, struct error *err)
{
    char why[PROCESS_WHY_SIZE];
    process->closed = true;
    if (process->pid > 0 && process_watch_killed(process->pid, why))
        return error_set(err, ERROR_LIMIT, "the child process was killed: %s", why);
    return error_set(err, ERROR_CLOSED, "the other process has ended");
}

bool process_receive(struct process *process, int64_t timeout_ns, void *message, size_t capacity, size_t *size,
                     int *fds, size_t *fd_count, struct error *err)
{
    if (!wait_for(process, timeout_ns, err))
        return false;
    union control control;
    struct iovec piece = {.iov_base = message, .iov_len = capacity};
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got;
    while ((got = recvmsg(process->socket, &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (got < 0 && errno != ECONNRESET)
        return error_errno(err, errno, "message from another process");
    if (got <= 0)
        return told_end(process, err);
    size_t room = fds ? *fd_count : 0;
    size_t came = take_fds(&header, fds, room);
    if (came > room || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < came && i < room; i++)
            close(fds[i]);
        return error_set(err, ERROR_BAD_DATA,
                         "a message between processes is longer than %zu bytes and %zu descriptors", capacity, room);
    }
    if (fds)
        *fd_count = came;
    *size = (size_t)got;
    return true;
}

// ---- memory that travels

int process_memfd_open(const char *name, size_t size, struct error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        error_errno(err, errno, "memory file '%s'", name);
        return -1;
    }
    if (ftruncate(fd, (off_t)size) == 0)
        return fd;
    error_errno(err, errno, "memory file '%s' of %zu bytes", name, size);
    close(fd);
    return -1;
}

static bool add_seals(int fd, int more, struct error *err)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL | more) == 0 ||
           error_errno(err, errno, "sealing a memory file");
}

bool process_memfd_seal(int fd, struct error *err)
{
    return add_seals(fd, F_SEAL_WRITE, err);
}

int process_memfd(const char *name, const void *data, size_t size, bool sealed, struct error *err)
{
    int fd = process_memfd_open(name, size, err);
    if (fd < 0)
        return -1;
    if ((!data || size == 0 || file_pwrite(fd, data, size, 0, err)) && add_seals(fd, sealed ? F_SEAL_WRITE : 0, err))
        return fd;
    close(fd);
    return -1;
}
