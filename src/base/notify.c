// One datagram to the socket that systemd names in NOTIFY_SOCKET (sd_notify(3)).
#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

static bool send_to(const struct sockaddr_un *to, size_t name_size, const char *state, struct error *err)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_size);
    bool sent = fd >= 0 && sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)to, size) >= 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    return sent || error_errno(err, number, "cannot tell '%s' to NOTIFY_SOCKET", state);
}

bool notify_send(const char *state, struct error *err)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!name || !*name)
        return true;
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length >= sizeof to.sun_path)
        return error_set(err, ERROR_BAD_VALUE, "NOTIFY_SOCKET '%.60s' is no path or abstract name", name);
    memcpy(to.sun_path, name, length);
    if (name[0] == '@')
        to.sun_path[0] = '\0';
    return send_to(&to, length, state, err);
}
