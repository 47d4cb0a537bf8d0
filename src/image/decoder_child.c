// `hilum decode`: the child's side.
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "image/codec.h"
#include "image/decoder.h"
#include "image/decoder_protocol.h"

enum { KEEP_FREE = 1 << 20 }; // freed memory that a child holds on to

static bool decode_mapped(const struct decode_request *request, const int fds[2], struct decode_answer *answer)
{
    struct error *err = &answer->error;
    const size_t in_size = (size_t)request->size, out_size = (size_t)request->format.frame_bytes;
    void *in = mmap(NULL, in_size, PROT_READ, MAP_SHARED, fds[0], 0);
    void *out = mmap(NULL, out_size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    bool ok = in != MAP_FAILED && out != MAP_FAILED;
    if (ok)
        ok = image_decode(request->transfer_syntax, &request->format, in, in_size, out, &answer->color, err);
    else
        error_set(err, ERROR_MEMORY, "no room for a frame of %zu bytes", out_size);
    if (in != MAP_FAILED)
        munmap(in, in_size);
    if (out != MAP_FAILED)
        munmap(out, out_size);
    return ok;
}

static bool serve_one(struct process *self, struct error *err)
{
    struct decode_request request;
    struct decode_answer answer = {0};
    size_t size, count = 2;
    int fds[2];
    if (!process_receive(self, IMAGE_DECODE_IDLE_SECONDS * CLOCK_SECOND, &request, sizeof request, &size, fds, &count,
                         err))
        return false;
    if (size != sizeof request || count != 2)
        return error_set(err, ERROR_PROTOCOL, "a request of %zu bytes with %zu descriptors", size, count);
    answer.ok = decode_mapped(&request, fds, &answer);
    answer.number = request.number;
    close(fds[0]);
    close(fds[1]);
    malloc_trim(KEEP_FREE);
    return process_send(PROCESS_SOCKET, &answer, sizeof answer, NULL, 0, err);
}

int image_decode_main(bool reduced)
{
    struct process self = {.socket = PROCESS_SOCKET};
    struct error err;
    const struct sandbox_rules rules = {.memory_max = IMAGE_DECODE_MEMORY_MAX, .reduced = reduced};
    if (!sandbox_enter(&rules, &err)) {
        log_error("image", "decoder: %s", err.message);
        return DECODE_EXIT_SANDBOX;
    }
    while (serve_one(&self, &err))
        ;
    // _exit: nothing that a library registered for the end may run in here.
    _exit(err.code == ERROR_TIMEOUT || err.code == ERROR_CLOSED ? DECODE_EXIT_IDLE : DECODE_EXIT_PROTOCOL);
}
