#include "image/decoder.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "image/decoder_protocol.h"

struct worker {
    struct process process; // pid 0: none
    bool busy;
    _Atomic uint64_t deaths;
};

struct image_decoder {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct worker workers[IMAGE_DECODERS];
    bool reduced;
};

struct image_decoder *image_decoder_open(bool reduced, struct error *err)
{
    struct image_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) {
        error_set(err, ERROR_MEMORY, "no memory for the decoders");
        return NULL;
    }
    pthread_mutex_init(&decoder->lock, NULL);
    pthread_cond_init(&decoder->freed, NULL);
    decoder->reduced = reduced;
    return decoder;
}

void image_decoder_close(struct image_decoder *decoder)
{
    if (!decoder)
        return;
    for (int i = 0; i < IMAGE_DECODERS; i++)
        if (decoder->workers[i].process.pid > 0)
            process_stop(&decoder->workers[i].process, NULL);
    pthread_cond_destroy(&decoder->freed);
    pthread_mutex_destroy(&decoder->lock);
    free(decoder);
}

// One that has a child is taken before one that has none: a single stream of frames needs a single child.
static struct worker *idle_worker(struct image_decoder *decoder)
{
    struct worker *found = NULL;
    for (int i = 0; i < IMAGE_DECODERS; i++) {
        struct worker *worker = &decoder->workers[i];
        if (!worker->busy && (!found || (worker->process.pid > 0 && found->process.pid == 0)))
            found = worker;
    }
    return found;
}

static struct worker *take(struct image_decoder *decoder)
{
    struct worker *worker;
    pthread_mutex_lock(&decoder->lock);
    while (!(worker = idle_worker(decoder)))
        pthread_cond_wait(&decoder->freed, &decoder->lock);
    worker->busy = true;
    pthread_mutex_unlock(&decoder->lock);
    return worker;
}

static void give_back(struct image_decoder *decoder, struct worker *worker)
{
    pthread_mutex_lock(&decoder->lock);
    worker->busy = false;
    pthread_cond_signal(&decoder->freed);
    pthread_mutex_unlock(&decoder->lock);
}

uint64_t image_decoder_deaths(const struct image_decoder *decoder)
{
    uint64_t deaths = 0;
    for (int i = 0; i < IMAGE_DECODERS; i++)
        deaths += decoder->workers[i].deaths;
    return deaths;
}

// false: it had ended itself for idleness.
static bool bury(struct worker *worker, char why[PROCESS_WHY_SIZE])
{
    char idle[PROCESS_WHY_SIZE];
    process_stop(&worker->process, why);
    snprintf(idle, sizeof idle, "exit %d", DECODE_EXIT_IDLE);
    bool died = strcmp(why, idle) != 0;
    worker->deaths += died;
    return died;
}

// A child that is gone, or has spoken unasked, since its last frame: the frame that finds it so is not at fault.
static void drop_spoiled(struct worker *worker)
{
    char why[PROCESS_WHY_SIZE];
    if (worker->process.pid == 0 || process_is_quiet(&worker->process))
        return;
    if (bury(worker, why))
        log_warning("image", "a decoder was gone between two frames: %s", why);
}

static bool start(const struct image_decoder *decoder, struct worker *worker, struct error *err)
{
    const char *arguments[] = {"decode", decoder->reduced ? "reduced" : NULL, NULL};
    return worker->process.pid > 0 || process_start(&worker->process, arguments, IMAGE_DECODE_MEMORY_MAX, err);
}

static bool exchange(struct worker *worker, const struct decode_request *request, const int fds[2],
                     struct decode_answer *answer, struct error *err)
{
    size_t size;
    if (!process_send(worker->process.socket, request, sizeof *request, fds, 2, err) ||
        !process_receive(&worker->process, IMAGE_DECODE_SECONDS * CLOCK_SECOND, answer, sizeof *answer, &size, NULL,
                         NULL, err))
        return false;
    if (size != sizeof *answer)
        return error_set(err, ERROR_PROTOCOL, "an answer of %zu bytes", size);
    return answer->number == request->number || error_set(err, ERROR_PROTOCOL, "an answer to nothing that was asked");
}

static bool tell(const char *transfer_syntax, const struct error *cause, const char *why, struct error *err)
{
    char sandbox[PROCESS_WHY_SIZE];
    snprintf(sandbox, sizeof sandbox, "exit %d", DECODE_EXIT_SANDBOX);
    if (strcmp(why, sandbox) == 0)
        return error_set(err, ERROR_FORBIDDEN, "the decoder cannot enter its sandbox; the log says why");
    if (cause->code == ERROR_TIMEOUT)
        why = cause->message;
    log_warning("image", "a frame in %s ended its decoder: %s", transfer_syntax, why);
    return error_set(err, ERROR_BAD_DATA, "the frame ended its decoder: %s", why);
}

// One that has decoded before and ends now may do so for idleness, or for what an earlier frame did to it: the request
// is repeated to a new child, whose end is the frame's own doing.
static bool ask(struct image_decoder *decoder, struct worker *worker, const struct decode_request *request,
                const int fds[2], struct decode_answer *answer, struct error *err)
{
    char why[PROCESS_WHY_SIZE];
    struct error cause = {0};
    bool is_new = false;
    while (!is_new && cause.code != ERROR_TIMEOUT) {
        drop_spoiled(worker);
        is_new = worker->process.pid == 0;
        if (!start(decoder, worker, err))
            return false;
        if (exchange(worker, request, fds, answer, &cause))
            return true;
        worker->process.closed |= cause.code == ERROR_CLOSED;
        bury(worker, why);
    }
    return tell(request->transfer_syntax, &cause, why, err);
}

// The child may have been taken over by what it decoded: nothing of its answer is believed without a look.
static bool is_sane(const struct decode_answer *answer)
{
    unsigned char ok;
    memcpy(&ok, &answer->ok, sizeof ok);
    return ok <= 1 && (unsigned)answer->color <= IMAGE_COLOR_OTHER && (unsigned)answer->error.code < ERROR_CODE_COUNT &&
           memchr(answer->error.message, '\0', sizeof answer->error.message);
}

static bool pass_on(const struct decode_answer *answer, struct error *err)
{
    char shown[ERROR_MESSAGE_SIZE];
    enum error_code code = answer->error.code == ERROR_UNSUPPORTED || answer->error.code == ERROR_MEMORY
                               ? answer->error.code
                               : ERROR_BAD_DATA;
    return error_set(err, code, "%s",
                     text_show(shown, sizeof shown, answer->error.message, strlen(answer->error.message)));
}

static bool decode_between(struct image_decoder *decoder, const struct decode_request *request, const int fds[2],
                           uint8_t *out, enum image_color *color, struct error *err)
{
    struct decode_answer answer;
    struct worker *worker = take(decoder);
    bool ok = ask(decoder, worker, request, fds, &answer, err);
    if (ok && !is_sane(&answer)) {
        char why[PROCESS_WHY_SIZE];
        bury(worker, why);
        ok = tell(request->transfer_syntax, &(struct error){0}, "an answer that makes no sense", err);
    }
    give_back(decoder, worker);
    if (!ok)
        return false;
    if (!answer.ok)
        return pass_on(&answer, err);
    *color = answer.color;
    return file_pread(fds[1], out, (size_t)request->format.frame_bytes, 0, err);
}

bool image_decoder_frame(struct image_decoder *decoder, const char *transfer_syntax, const struct image_format *format,
                         const uint8_t *data, size_t size, uint8_t *out, enum image_color *color, struct error *err)
{
    struct decode_request request = {.format = *format, .size = size};
    if (format->frame_bytes > IMAGE_DECODE_FRAME_BYTES_MAX || size > IMAGE_DECODE_FRAME_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "a frame of %llu bytes, compressed to %zu, is past the decoders' %d",
                         (unsigned long long)format->frame_bytes, size, IMAGE_DECODE_FRAME_BYTES_MAX);
    if (size == 0 || format->frame_bytes == 0)
        return error_set(err, ERROR_BAD_DATA, "an empty frame");
    if (getrandom(&request.number, sizeof request.number, 0) != sizeof request.number)
        return error_set(err, ERROR_INTERNAL, "no random bytes for a request");
    if (!text_copy(request.transfer_syntax, sizeof request.transfer_syntax, transfer_syntax))
        return error_set(err, ERROR_BAD_VALUE, "a transfer syntax of more than %d characters", DICOM_UID_SIZE - 1);
    int fds[2] = {process_memfd("code-stream", data, size, true, err), -1};
    if (fds[0] < 0)
        return false;
    fds[1] = process_memfd("frame", NULL, (size_t)format->frame_bytes, false, err);
    bool ok = fds[1] >= 0 && decode_between(decoder, &request, fds, out, color, err);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
    return ok;
}
