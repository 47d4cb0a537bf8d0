#include "image/decoder.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/budget.h"
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

// Who waits for a worker, on his own stack.
struct waiter {
    struct waiter *next;
    struct worker *given; // NULL: none yet
};

enum line { FOR_ITSELF, FOR_PEERS, LINES };

struct image_decoder {
    pthread_mutex_t lock; // of all below but `reduced`
    pthread_cond_t freed;
    struct worker workers[IMAGE_DECODERS];
    struct waiter *lines[LINES]; // the longest first
    enum line last;              // whose turn it was when both waited
    bool reduced;
};

struct image_decoder *image_decoder_open(bool reduced, struct error *err)
{
    struct image_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder) {
        error_set(err, ERROR_MEMORY, "no memory for the decoders");
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&decoder->lock, NULL);
    pthread_cond_init(&decoder->freed, &attributes);
    pthread_condattr_destroy(&attributes);
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

static struct waiter **find(struct waiter **line, const struct waiter *who)
{
    while (*line && *line != who)
        line = &(*line)->next;
    return line;
}

// false: nobody waits.
static bool hand_on(struct image_decoder *decoder, struct worker *worker)
{
    enum line line = decoder->last == FOR_PEERS ? FOR_ITSELF : FOR_PEERS;
    if (!decoder->lines[line])
        line = decoder->last;
    struct waiter *who = decoder->lines[line];
    if (!who)
        return false;
    decoder->last = line;
    decoder->lines[line] = who->next;
    who->given = worker;
    pthread_cond_broadcast(&decoder->freed);
    return true;
}

static bool wait_in(struct image_decoder *decoder, enum line line, struct waiter *who)
{
    int64_t until_ns = clock_monotonic_ns() + IMAGE_DECODE_WAIT_SECONDS * CLOCK_SECOND;
    struct timespec until = {.tv_sec = until_ns / CLOCK_SECOND, .tv_nsec = until_ns % CLOCK_SECOND};
    int number = 0;
    *find(&decoder->lines[line], NULL) = who;
    while (!who->given && number == 0)
        number = line == FOR_PEERS ? pthread_cond_timedwait(&decoder->freed, &decoder->lock, &until)
                                   : pthread_cond_wait(&decoder->freed, &decoder->lock);
    if (!who->given)
        *find(&decoder->lines[line], who) = who->next;
    return who->given != NULL;
}

static struct worker *take(struct image_decoder *decoder, struct error *err)
{
    enum line line = budget_is_for_peer() ? FOR_PEERS : FOR_ITSELF;
    struct waiter who = {0};
    pthread_mutex_lock(&decoder->lock);
    who.given = idle_worker(decoder); // nobody waits while one is idle
    if (who.given)
        who.given->busy = true;
    else if (!wait_in(decoder, line, &who))
        error_set(err, ERROR_BUSY, "no decoder was free for %d s; try again", IMAGE_DECODE_WAIT_SECONDS);
    pthread_mutex_unlock(&decoder->lock);
    return who.given;
}

static void give_back(struct image_decoder *decoder, struct worker *worker)
{
    pthread_mutex_lock(&decoder->lock);
    worker->busy = hand_on(decoder, worker);
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
                           enum image_color *color, struct error *err)
{
    struct decode_answer answer;
    struct worker *worker = take(decoder, err);
    if (!worker)
        return false;
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
    return true;
}

// Where a frame is to go.
struct place {
    uint8_t *memory; // NULL: into `fd`
    int fd;
    size_t size;
};

static bool hand_out(int frame, const struct place *place, struct error *err)
{
    if (place->memory)
        return file_pread(frame, place->memory, place->size, 0, err);
    off_t offset = 0;
    while ((size_t)offset < place->size)
        if (sendfile(place->fd, frame, &offset, place->size - (size_t)offset) <= 0)
            return error_errno(err, errno, "a decoded frame could not be put into a file");
    return true;
}

// What goes to the child and what comes back are files in memory.
static bool decode(struct image_decoder *decoder, const char *transfer_syntax, const struct image_format *format,
                   const uint8_t *data, size_t size, const struct place *place, enum image_color *color,
                   struct error *err)
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
    bool ok = fds[1] >= 0 && decode_between(decoder, &request, fds, color, err) && hand_out(fds[1], place, err);
    close(fds[0]);
    if (fds[1] >= 0)
        close(fds[1]);
    return ok;
}

bool image_decoder_frame(struct image_decoder *decoder, const char *transfer_syntax, const struct image_format *format,
                         const uint8_t *data, size_t size, uint8_t *out, enum image_color *color, struct error *err)
{
    const struct place place = {out, -1, (size_t)format->frame_bytes};
    return decode(decoder, transfer_syntax, format, data, size, &place, color, err);
}

bool image_decoder_frame_to(struct image_decoder *decoder, const char *transfer_syntax,
                            const struct image_format *format, const uint8_t *data, size_t size, int fd,
                            enum image_color *color, struct error *err)
{
    const struct place place = {NULL, fd, (size_t)format->frame_bytes};
    return decode(decoder, transfer_syntax, format, data, size, &place, color, err);
}
