// Other people's programs, and this one again. argv ends with NULL; argv[0] is found along PATH.
#ifndef SUPPORT_PROGRAM_H
#define SUPPORT_PROGRAM_H

#include <sys/types.h>

#include "base/buffer.h"

// What it writes to stdout and stderr goes into `output`, NUL-ended, which the call inits and the caller frees. The
// exit status; -1 when the program was killed or is not there.
int run_program(const char *const argv[], struct buffer *output);
// Asserts that it exits with 0, and prints what it said when not. `output` may be NULL.
void run_well(const char *const argv[], struct buffer *output);
// The same, of a Python script with these arguments (at most 12, NULL-ended).
void run_script(const char *script, const char *const arguments[]);

// Runs beside the test, without its output, until it is stopped.
pid_t start_program(const char *const argv[]);
void stop_program(pid_t pid);

// This program's path: for scripts that call it back.
const char *own_program(void);
// This program once more, with argv[1] and so on from `arguments` and HILUM_FAULT set unless NULL: its fault points
// read the environment anew.
pid_t start_again(const char *const arguments[], const char *fault);
void wait_killed(pid_t pid); // asserts that SIGKILL ended it

// Folder of the CT series that tools/head-ct makes, made at the first call.
const char *head_ct(bool feet_first);

#endif
