#include "support/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"
#include "support/folder.h"

enum { OUTPUT_MAX = 16 << 20, ARGUMENTS_MAX = 12 };

extern char **environ;

// -1 when there is no such program.
static pid_t spawn(const char *const argv[], int output)
{
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return failed ? -1 : pid;
}

static int wait_for(pid_t pid)
{
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_all(int fd, struct buffer *output)
{
    uint8_t block[4096];
    ssize_t size;
    while ((size = read(fd, block, sizeof block)) > 0)
        buffer_append(output, block, (size_t)size);
    buffer_byte(output, 0);
}

int run_program(const char *const argv[], struct buffer *output)
{
    int ends[2];
    buffer_init(output, OUTPUT_MAX);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = spawn(argv, ends[1]);
    close(ends[1]);
    read_all(ends[0], output);
    close(ends[0]);
    assert_false(output->failed);
    return wait_for(pid);
}

void run_well(const char *const argv[], struct buffer *output)
{
    struct buffer said;
    int status = run_program(argv, &said);
    if (status != 0)
        fail_msg("%s ended with %d: %s", argv[0], status, (const char *)said.data);
    if (output)
        *output = said;
    else
        buffer_free(&said);
}

void run_script(const char *script, const char *const arguments[])
{
    const char *argv[ARGUMENTS_MAX + 3] = {"/usr/bin/python3", script};
    for (size_t i = 0; arguments[i]; i++) {
        assert_true(i < ARGUMENTS_MAX);
        argv[i + 2] = arguments[i];
    }
    run_well(argv, NULL);
}

pid_t start_program(const char *const argv[])
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(nowhere >= 0);
    pid_t pid = spawn(argv, nowhere);
    close(nowhere);
    assert_true(pid > 0);
    return pid;
}

void stop_program(pid_t pid)
{
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

const char *own_program(void)
{
    static char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(size > 0);
    path[size] = '\0';
    return path;
}

pid_t start_again(const char *const arguments[], const char *fault)
{
    const char *argv[ARGUMENTS_MAX + 2] = {own_program()};
    for (size_t i = 0; arguments[i]; i++) {
        assert_true(i < ARGUMENTS_MAX);
        argv[i + 1] = arguments[i];
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if (fault)
        setenv("HILUM_FAULT", fault, 1);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

void wait_killed(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

const char *head_ct(bool feet_first)
{
    static char folders[2][TEMPORARY_SIZE];
    char *folder = folders[feet_first];
    if (folder[0])
        return folder;
    const char *parent = temporary("series");
    run_script("tools/head-ct", (const char *const[]){"make", parent, feet_first ? "--feet-first" : NULL, NULL});
    snprintf(folder, TEMPORARY_SIZE, "%.200s/head%s", parent, feet_first ? "-feet-first" : "");
    return folder;
}
