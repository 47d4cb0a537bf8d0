// The floor: a DICOM storage SCP that does the least a durable one can do. It takes associations, appends each object
// to one file per association, calls fdatasync, and answers. It keeps the files: disks that are made of a larger
// machine's files write faster where something was before, and whoever keeps nothing would always write there. No
// parsing beyond PDU and PDV headers and the two fields of the command that the answer repeats, no database, no check,
// and no code of src/: what Hilum adds is measured against this.
//
//   floor PORT FOLDER            serves until it is killed; a thread an association
//   floor append FOLDER SIZE N   the bare loop: N times append SIZE bytes and fdatasync, prints objects per second
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PDU_MAX = 131072, COMMAND_MAX = 16384 };

static const char *folder;

struct connection {
    int socket, file;
    uint8_t pdu[PDU_MAX + 6];
    uint8_t command[COMMAND_MAX];
    size_t command_size;
};

static int quick(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static int read_all(int fd, uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(fd, to, size, 0);
        if (got <= 0)
            return -1;
        quick(fd);
        to += got;
        size -= (size_t)got;
    }
    return 0;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// The next PDU; its length, or 0 at the end.
static uint32_t read_pdu(struct connection *c)
{
    if (read_all(c->socket, c->pdu, 6) != 0)
        return 0;
    uint32_t length = be32(c->pdu + 2);
    if (length == 0 || length > PDU_MAX || read_all(c->socket, c->pdu + 6, length) != 0)
        return 0;
    return length;
}

// A-ASSOCIATE-AC: every context is accepted with its first transfer syntax.
static int accept_association(struct connection *c, uint32_t length)
{
    uint8_t answer[8192] = {2};
    size_t used = 74;
    const uint8_t *rq = c->pdu + 6, *end = rq + length;
    memcpy(answer + 6, rq, 68);
    for (const uint8_t *item = rq + 68; item + 4 <= end; item += 4 + (item[2] << 8 | item[3])) {
        size_t size = (size_t)(item[2] << 8 | item[3]);
        if (item[0] == 0x10) {
            memcpy(answer + used, item, size + 4);
            used += size + 4;
        }
        if (item[0] != 0x20)
            continue;
        const uint8_t *sub = item + 8, *last = item + 4 + size;
        while (sub < last && sub[0] != 0x40)
            sub += 4 + (sub[2] << 8 | sub[3]);
        size_t transfer = 4 + (size_t)(sub[2] << 8 | sub[3]);
        if (used + 8 + transfer + 64 > sizeof answer)
            return -1;
        memcpy(answer + used,
               (uint8_t[]){0x21, 0, (uint8_t)((transfer + 4) >> 8), (uint8_t)(transfer + 4), item[4], 0, 0, 0}, 8);
        memcpy(answer + used + 8, sub, transfer);
        used += 8 + transfer;
    }
    static const uint8_t user[] = {0x50, 0, 0, 19, 0x51, 0,   0,   4,   0,   2,   0,  0,
                                   0x52, 0, 0, 7,  '1',  '.', '2', '.', '3', '.', '4'};
    memcpy(answer + used, user, sizeof user);
    used += sizeof user;
    uint32_t body = (uint32_t)(used - 6);
    memcpy(answer + 2, (uint8_t[]){(uint8_t)(body >> 24), (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body},
           4);
    return send(c->socket, answer, used, MSG_NOSIGNAL) == (ssize_t)used ? 0 : -1;
}

static const uint8_t *find(const struct connection *c, uint16_t element, uint32_t *size)
{
    for (size_t at = 0; at + 8 <= c->command_size;) {
        uint32_t length;
        memcpy(&length, c->command + at + 4, 4);
        if (c->command[at + 2] == (element & 0xFF) && c->command[at + 3] == element >> 8) {
            *size = length;
            return c->command + at + 8;
        }
        at += 8 + length;
    }
    *size = 0;
    return NULL;
}

static size_t put(uint8_t *to, uint16_t element, const void *value, uint32_t size)
{
    memcpy(to, (uint8_t[]){0, 0, (uint8_t)element, (uint8_t)(element >> 8)}, 4);
    memcpy(to + 4, &size, 4);
    memcpy(to + 8, value, size);
    return 8 + size;
}

static int answer_store(struct connection *c, uint8_t context)
{
    uint8_t out[512] = {4};
    size_t at = 12 + 12; // PDU and PDV heads, then the group length
    uint32_t class_size, instance_size, id_size;
    const uint8_t *class = find(c, 0x0002, &class_size), *instance = find(c, 0x1000, &instance_size),
                  *id = find(c, 0x0110, &id_size);
    if (!class || !instance || id_size != 2 || class_size > 64 || instance_size > 64)
        return -1;
    at += put(out + at, 0x0002, class, class_size);
    at += put(out + at, 0x0100, "\x01\x80", 2);
    at += put(out + at, 0x0120, id, 2);
    at += put(out + at, 0x0800, "\x01\x01", 2);
    at += put(out + at, 0x0900, "\0\0", 2);
    at += put(out + at, 0x1000, instance, instance_size);
    uint32_t group = (uint32_t)(at - 24), pdv = (uint32_t)(at - 10), pdu = (uint32_t)(at - 6);
    put(out + 12, 0x0000, &group, 4);
    memcpy(out + 2, (uint8_t[]){(uint8_t)(pdu >> 24), (uint8_t)(pdu >> 16), (uint8_t)(pdu >> 8), (uint8_t)pdu}, 4);
    memcpy(out + 6,
           (uint8_t[]){(uint8_t)(pdv >> 24), (uint8_t)(pdv >> 16), (uint8_t)(pdv >> 8), (uint8_t)pdv, context, 3}, 6);
    return send(c->socket, out, at, MSG_NOSIGNAL) == (ssize_t)at ? 0 : -1;
}

static int take_pdv(struct connection *c, const uint8_t *pdv, uint32_t size)
{
    const uint8_t *data = pdv + 2;
    size -= 2;
    if (pdv[1] & 1) {
        if (c->command_size + size > COMMAND_MAX)
            return -1;
        memcpy(c->command + c->command_size, data, size);
        c->command_size += size;
        return 0;
    }
    if (write(c->file, data, size) != (ssize_t)size)
        return -1;
    if (!(pdv[1] & 2))
        return 0;
    if (fdatasync(c->file) != 0 || answer_store(c, pdv[0]) != 0)
        return -1;
    c->command_size = 0;
    return 0;
}

static void *serve(void *payload)
{
    struct connection *c = payload;
    char path[4096];
    uint32_t length;
    snprintf(path, sizeof path, "%s/floor-XXXXXX", folder);
    c->file = mkstemp(path);
    while (c->file >= 0 && (length = read_pdu(c)) > 0) {
        if (c->pdu[0] == 1 && accept_association(c, length) != 0)
            break;
        if (c->pdu[0] == 5) {
            send(c->socket, "\6\0\0\0\0\4\0\0\0\0", 10, MSG_NOSIGNAL);
            break;
        }
        const uint8_t *pdv = c->pdu + 6, *end = pdv + length;
        int bad = 0;
        for (; c->pdu[0] == 4 && !bad && pdv + 6 <= end; pdv += 4 + be32(pdv))
            bad = be32(pdv) < 2 || be32(pdv) > (uint32_t)(end - pdv) - 4 || take_pdv(c, pdv + 4, be32(pdv)) != 0;
        if (bad)
            break;
    }
    close(c->socket);
    close(c->file);
    free(c);
    return NULL;
}

static int append_loop(size_t size, int count)
{
    char path[4096];
    struct timespec from, to;
    uint8_t *data = malloc(size);
    snprintf(path, sizeof path, "%s/append-XXXXXX", folder);
    int file = mkstemp(path);
    if (!data || file < 0)
        return 1;
    memset(data, 0x5A, size);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < count; i++)
        if (write(file, data, size) != (ssize_t)size || fdatasync(file) != 0)
            return 1;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.1f\n", count / ((double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "append") == 0) {
        folder = argv[2];
        return append_loop((size_t)strtoul(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
    }
    if (argc != 3)
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    folder = argv[2];
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
        return 1;
    for (;;) {
        pthread_t thread;
        struct connection *c = calloc(1, sizeof *c);
        c->socket = accept(listener, NULL, NULL);
        quick(c->socket);
        if (pthread_create(&thread, NULL, serve, c) != 0)
            return 1;
        pthread_detach(thread);
    }
}
