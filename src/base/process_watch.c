// One thread looks at all children for as long as there are any, whether somebody waits for their answers or not: what
// a hostile input has taken over goes on between two requests.
#include "base/process_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { WATCH_MS = 50 };

struct watched {
    pid_t pid; // 0: a free place
    size_t memory_max;
    char why[PROCESS_WHY_SIZE]; // it was killed; else ""
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct watched children[PROCESS_CHILDREN_MAX];
    size_t count;
    bool running;
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct watched *find(pid_t pid)
{
    for (size_t i = 0; i < PROCESS_CHILDREN_MAX; i++)
        if (watch.children[i].pid == pid)
            return &watch.children[i];
    return NULL;
}

// ---- a look

struct use {
    size_t memory; // anonymous and shared, resident or swapped out
    unsigned long threads;
};

// The number behind a key of /proc/PID/status; 0 when it is not there.
static unsigned long status_number(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

// 0, or an errno value. A child that has ended uses nothing.
static int use_of(pid_t pid, struct use *out)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t got = read(fd, text, sizeof text - 1);
    int number = got > 0 ? 0 : errno;
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    *out = (struct use){
        (status_number(text, "RssAnon:") + status_number(text, "RssShmem:") + status_number(text, "VmSwap:")) << 10,
        status_number(text, "Threads:")};
    return number;
}

// The file of a child that was not waited for is always there: one that is hidden (a /proc mounted with hidepid) cannot
// be watched, and is not trusted.
static bool is_hidden(int number)
{
    return number == ENOENT || number == EACCES || number == EPERM;
}

static void look(struct watched *child)
{
    struct use use = {0};
    int number = use_of(child->pid, &use);
    if (is_hidden(number))
        snprintf(child->why, sizeof child->why, "not to be watched: /proc/%d/status cannot be read", (int)child->pid);
    else if (use.memory > child->memory_max)
        snprintf(child->why, sizeof child->why, "more memory than %zu MiB", child->memory_max >> 20);
    else if (use.threads > PROCESS_THREADS_MAX)
        snprintf(child->why, sizeof child->why, "more threads than %d", PROCESS_THREADS_MAX);
    else
        return;
    kill(child->pid, SIGKILL);
    log_warning("process", "child %d was killed: %s (%zu MiB, %lu threads)", (int)child->pid, child->why,
                use.memory >> 20, use.threads);
}

static void *run(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&watch.lock);
        while (watch.count == 0)
            pthread_cond_wait(&watch.changed, &watch.lock);
        for (size_t i = 0; i < PROCESS_CHILDREN_MAX; i++)
            if (watch.children[i].pid != 0 && !watch.children[i].why[0])
                look(&watch.children[i]);
        pthread_mutex_unlock(&watch.lock);
        clock_sleep_ns(WATCH_MS * CLOCK_MS);
    }
    return NULL;
}

// ---- who is watched

// With the lock held. All signals are blocked in the thread: they are for the threads that asked for them.
static int ready(void)
{
    if (watch.running)
        return 0;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int number = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (number == 0)
        pthread_detach(thread);
    watch.running = number == 0;
    return number;
}

bool process_watch_begin(pid_t pid, size_t memory_max, struct error *err)
{
    pthread_mutex_lock(&watch.lock);
    struct watched *place = find(0);
    int number = place ? ready() : 0;
    bool ok = place && number == 0;
    if (ok) {
        *place = (struct watched){.pid = pid, .memory_max = memory_max};
        watch.count++;
        pthread_cond_signal(&watch.changed);
    }
    pthread_mutex_unlock(&watch.lock);
    if (number != 0)
        return error_errno(err, number, "no thread to watch child processes");
    return ok || error_set(err, ERROR_LIMIT, "more than %d child processes at once", PROCESS_CHILDREN_MAX);
}

bool process_watch_killed(pid_t pid, char why[PROCESS_WHY_SIZE])
{
    pthread_mutex_lock(&watch.lock);
    const struct watched *child = find(pid);
    snprintf(why, PROCESS_WHY_SIZE, "%s", child ? child->why : "");
    pthread_mutex_unlock(&watch.lock);
    return why[0] != '\0';
}

void process_watch_end(pid_t pid)
{
    pthread_mutex_lock(&watch.lock);
    struct watched *child = find(pid);
    if (child) {
        *child = (struct watched){0};
        watch.count--;
    }
    pthread_mutex_unlock(&watch.lock);
}
