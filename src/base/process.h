// Child processes that are not trusted: started from this program's own file, locked down by themselves, spoken to over
// a socket, watched, and killed when they misbehave. docs/sandbox.md says what each layer stops and which kernels and
// service managers leave room for it.
//
// A child is this program again (`/proc/self/exe NAME arguments...`) with one SOCK_SEQPACKET socket on descriptor
// PROCESS_SOCKET, stderr kept, /dev/null as stdin and stdout, everything else closed, and an empty environment. It
// loads what it needs (dlopen), then calls sandbox_enter, and only then takes input. Inputs travel as sealed memfds;
// outputs come back in memfds of fixed size that the parent made and reads with pread, never mapped.
//
//     parent                                          child
//     process_start(&process, {"decode", NULL}, ...)  main: argv[1] is "decode"; sandbox_enter(&rules, &err)
//     process_memfd(..., sealed), process_memfd(..., false)
//     process_send(process.socket, request, fds)      process_receive(&self, 0, ...); self.socket is PROCESS_SOCKET
//     process_receive(&process, 10 s, answer)         process_send(PROCESS_SOCKET, answer)
//     on CLOSED, LIMIT, TIMEOUT: process_stop(&process, why)
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

// ---- lock-down, in the child

struct sandbox_rules {
    size_t memory_max;           // in bytes: RLIMIT_DATA; address space: twice that and 1 GiB
    bool threads;                // threads may be made (ONNX Runtime's pool)
    const char *const *readable; // NULL-ended folders and files that may still be opened for reading; NULL: none
    bool reduced; // go on without what this kernel lacks (config `sandbox: reduced`); else that is an error
};

// No new privileges; own network, mount, IPC and UTS namespaces (inside a user namespace where that is needed); an
// empty root folder (when nothing is readable); Landlock (no file but `readable`); no capability; RLIMIT_DATA and
// RLIMIT_AS, a stack of 8 MiB, RLIMIT_CORE 0, RLIMIT_NOFILE 16; seccomp: only reading, writing, memory that is not
// executable, waiting, exit and, with `threads`, threads. Any other system call (socket, connect, fork, exec, opening
// for writing, ptrace, kill of others) kills the process; stderr, the program's log, takes nothing more. FORBIDDEN
// names the first layer that could not be had. The process must have one thread (CONFLICT), for Landlock and namespaces
// hold for the calling thread only.
bool sandbox_enter(const struct sandbox_rules *rules, struct error *err);

// What this kernel can, by trying in a child: one line, such as "namespaces yes (no user namespace needed), empty root
// yes, landlock yes (ABI 7), ...". true when all that is needed is there. Call it at start-up, before threads.
bool sandbox_probe(char *report, size_t size);

// ---- children, in the parent

enum {
    PROCESS_SOCKET = 3,
    PROCESS_MESSAGE_MAX = 64 << 10,
    PROCESS_FDS_MAX = 8,
    PROCESS_ARGUMENTS_MAX = 16,
    PROCESS_THREADS_MAX = 128, // of a child
    PROCESS_CHILDREN_MAX = 64, // at once
    PROCESS_WHY_SIZE = 120
};

struct process {
    pid_t pid; // 0 in the child's own value
    int socket;
    bool closed; // the other end was found gone
};

// Starts `/proc/self/exe NAME arguments...` (NULL-ended, at most PROCESS_ARGUMENTS_MAX). The child dies with this
// process, not with the calling thread. From now until process_stop, waited for or not, it is looked at every 50 ms,
// and killed when its anonymous and shared memory, resident or swapped out, is past `memory_max` bytes, when it has
// more than PROCESS_THREADS_MAX threads, or when /proc hides it. LIMIT past PROCESS_CHILDREN_MAX. Any thread.
bool process_start(struct process *process, const char *const *arguments, size_t memory_max, struct error *err);

// Asks nothing: kills and waits. `why` (may be NULL; PROCESS_WHY_SIZE characters) gets what ended it: "exit 3", "signal
// 31 (Bad system call: against the sandbox's rules)", "more memory than 512 MiB", "still running, killed".
void process_stop(struct process *process, char *why);

// A message with descriptors (up to PROCESS_FDS_MAX), both ends. CLOSED when the other end is gone; TIMEOUT when it
// reads nothing for 10 s.
bool process_send(int socket, const void *message, size_t size, const int *fds, size_t fd_count, struct error *err);

// Whether the child is there and has said nothing that was not received. One that ended, was killed or spoke unasked
// since its last answer is no more use, and the request that finds it so is not at fault: process_stop it, and start
// another.
bool process_is_quiet(struct process *process);

// Timeout 0: for ever (the child's side). TIMEOUT; CLOSED when the other end is gone; LIMIT when the watch killed it.
// Up to *fd_count descriptors are received into `fds`, owned by the caller and close-on-exec, and *fd_count becomes
// their number; with fds NULL, or for more, BAD_DATA. A message past `capacity` is BAD_DATA.
bool process_receive(struct process *process, int64_t timeout_ns, void *message, size_t capacity, size_t *size,
                     int *fds, size_t *fd_count, struct error *err);

// A memfd of `size` bytes holding `data` (NULL: zeros), sealed against growing and shrinking, and against writing when
// `sealed`. -1 on failure.
int process_memfd(const char *name, const void *data, size_t size, bool sealed, struct error *err);
// One of `size` zeros that is filled bit by bit with pwrite, not mapped, and then sealed against any change.
int process_memfd_open(const char *name, size_t size, struct error *err);
bool process_memfd_seal(int fd, struct error *err);

#endif
