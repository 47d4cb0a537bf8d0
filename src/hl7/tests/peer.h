// peer.py as a child process, with a pipe to its stdin and one from its stdout.
#ifndef HL7_TESTS_PEER_H
#define HL7_TESTS_PEER_H

#include <stddef.h>
#include <sys/types.h>

struct peer {
    pid_t pid;
    int in, out;
};

// `argument` may be NULL.
void peer_start(struct peer *peer, const char *mode, const char *argument);
// Up to the end, or to a line end when `line`; NUL-terminated. The size without NUL.
size_t peer_read(struct peer *peer, char *text, size_t capacity, int line);
void peer_write(struct peer *peer, const void *data, size_t size); // and closes its stdin
void peer_end(struct peer *peer);                                  // it must leave with 0

// A listening socket on 127.0.0.1.
int listen_somewhere(unsigned short *port);

#endif
