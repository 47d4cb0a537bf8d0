// Child processes that are not trusted: started from this program's own file, locked down by themselves, spoken to over a socket, watched, and killed when they misbehave.
//
// A child is `argv[0] = this program`, with one SOCK_SEQPACKET socket on descriptor PROCESS_SOCKET, stderr kept, everything else closed, an empty environment but for what is given. It loads what it needs (dlopen),
// then calls sandbox_enter, and only then takes input. Inputs travel as sealed memfds, outputs come back in memfds that the parent made and reads with pread, never mapped.
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

// ---- lock-down, in the child

struct sandbox_rules {
    size_t memory_max;           // RLIMIT_DATA in bytes
    bool threads;                // clone of threads allowed (ONNX Runtime's pool)
    const char *const *readable; // NULL-ended folders and files that may still be opened for reading; NULL: none
    bool reduced; // go on without what this kernel lacks (config `sandbox: reduced`); else that is an error
};

// No new privileges, namespaces (user namespace unless root, then mount, network, pid, ipc, uts), an empty root where possible, Landlock (no file but `readable`), seccomp (only reading, writing, memory, futex, exit and, with `threads`,
// thread creation: no socket, connect, exec, open for writing, ptrace, kill of others; a violation kills the process), RLIMIT_DATA, RLIMIT_CORE 0, RLIMIT_NOFILE 64. FORBIDDEN names the first layer that the kernel refused.
bool sandbox_enter(const struct sandbox_rules *rules, struct error *err);

// What this kernel can, by trying in a child: one line, such as "seccomp yes, landlock abi 7, user namespace no (root: not needed), mount yes, network yes". true when all that is needed is there. At start-up.
bool sandbox_probe(char *report, size_t size);

// ---- children, in the parent

enum { PROCESS_SOCKET = 3, PROCESS_MESSAGE_MAX = 64 << 10, PROCESS_FDS_MAX = 8 };

struct process {
    pid_t pid;
    int socket;
    size_t memory_max; // the watch kills the child past this (its resident anonymous and shared memory)
};

// Starts `/proc/self/exe NAME arguments...` (NULL-ended). The child dies with this process (PR_SET_PDEATHSIG).
bool process_start(struct process *process, const char *const *arguments, size_t memory_max, struct error *err);

// Asks nothing: kills and waits. `why` (may be NULL; 120 characters) gets what ended it: "exit 3", "signal 31 (Bad system call)", "memory past 512 MiB", "still running, killed".
void process_stop(struct process *process, char *why);

// A message with descriptors, both ends. Timeout 0: for ever (the child's side). TIMEOUT; CLOSED when the other end is gone. While the parent waits it looks at the child's memory every 50 ms: past memory_max the child is killed and LIMIT
// answered. Received descriptors are owned by the caller, close-on-exec.
bool process_send(int socket, const void *message, size_t size, const int *fds, size_t fd_count, struct error *err);
bool process_receive(struct process *process, int64_t timeout_ns, void *message, size_t capacity, size_t *size,
                     int *fds, size_t *fd_count, struct error *err);

// A memfd of `size` bytes holding `data` (NULL: zeros), sealed against growing, shrinking and writing when `sealed`. -1 on failure.
int process_memfd(const char *name, const void *data, size_t size, bool sealed, struct error *err);

#endif
