// Tells who started us (systemd, Type=notify) how far we are: sd_notify(3), its protocol alone.
#ifndef HILUM_BASE_NOTIFY_H
#define HILUM_BASE_NOTIFY_H

#include <stdbool.h>

struct error;

// Sends `state` ("READY=1", "STOPPING=1") as one datagram to the socket that NOTIFY_SOCKET names: a path, or with '@'
// in front an abstract name. True without it: nobody waits. ERROR_BAD_VALUE where it names neither, else ERROR_IO's
// like. From any thread that leaves the environment alone.
bool notify_send(const char *state, struct error *err);

#endif
