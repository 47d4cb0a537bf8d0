// hilum send: C-STORE of files to a DICOM peer, each in the transfer syntax it has.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/reader.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/cli.h"
#include "dicom/dataset.h"
#include "dicom/part10.h"
#include "dimse/dimse.h"

static int run(int argc, char **argv);

const struct cli_command cli_send = {"send", "[HOST:PORT] FILE... [OPTIONS]",
                                     "send DICOM files or folders to a peer (C-STORE), without one to " CLI_DICOM, run,
                                     false};

enum { FILES_MAX = 1000000, HEAD = DICOM_META_SIZE_MAX + DICOM_PREAMBLE_SIZE + 4, BLOCK = 128 << 10 };

// One file, and what it takes to send it.
struct item {
    char *path; // owned
    char sop_class[DICOM_UID_SIZE], sop_instance[DICOM_UID_SIZE], transfer_syntax[DICOM_UID_SIZE];
    uint64_t data_offset, size;
};

struct sending {
    struct item *items; // owned
    size_t count, capacity;
    size_t skipped;
    uint8_t *block; // BLOCK bytes
    struct dimse_peer peer;
    size_t sent, failed, warned; // failed: also what could not be read, or is damaged DICOM
    struct progress bar;
};

// ---- what there is to send

// A file without meta information says what it is only in its data set.
static bool identify(int fd, uint64_t size, struct sending *sending, struct item *item, struct error *err)
{
    struct dicom_meta meta;
    struct arena arena;
    const struct dicom_dataset *dataset;
    static const struct dicom_parse_options options = {.value_max = 1024, .depth_max = 0, .stop_at_pixels = true};
    size_t head = size < HEAD ? (size_t)size : HEAD;
    if (!file_pread(fd, sending->block, head, 0, err) || !dicom_meta_parse(sending->block, head, &meta, err))
        return false;
    if (dicom_meta_is_directory(&meta))
        return error_set(err, ERROR_UNSUPPORTED, "a DICOMDIR only lists other files");
    item->data_offset = meta.data_offset;
    item->size = size - meta.data_offset;
    text_copy(item->transfer_syntax, sizeof item->transfer_syntax, meta.transfer_syntax);
    struct source_reader file = {reader_from_fd(fd, item->data_offset, item->size), 0, sending->block, BLOCK};
    arena_init(&arena, 32 << 20);
    bool ok = dicom_parse(source_from_reader(&file), dicom_transfer_syntax_or_default(meta.transfer_syntax), &options,
                          &arena, &dataset, err);
    ok = ok && ((dicom_text_copy(dataset, 0x00080016, item->sop_class, sizeof item->sop_class) &&
                 dicom_text_copy(dataset, 0x00080018, item->sop_instance, sizeof item->sop_instance)) ||
                error_set(err, ERROR_BAD_DATA, "it has no SOP Class or Instance UID"));
    arena_free(&arena);
    return ok;
}

static bool add_item(struct sending *sending, const struct item *item, struct error *err)
{
    if (sending->count == sending->capacity) {
        size_t capacity = sending->capacity ? sending->capacity * 2 : 256;
        struct item *items = capacity <= FILES_MAX * 2 ? realloc(sending->items, capacity * sizeof *items) : NULL;
        if (!items)
            return error_set(err, ERROR_LIMIT, "more than %zu files at once; send them folder by folder",
                             sending->count);
        sending->items = items;
        sending->capacity = capacity;
    }
    sending->items[sending->count++] = *item;
    return true;
}

static bool look_at(const char *path, void *payload, struct error *err)
{
    struct sending *sending = payload;
    struct item item = {.path = strdup(path)};
    struct error why;
    uint64_t size;
    if (!item.path)
        return error_set(err, ERROR_MEMORY, "no memory for a path");
    int fd = file_open(path, &size, &why);
    bool usable = fd >= 0 && identify(fd, size, sending, &item, &why);
    if (fd >= 0)
        close(fd);
    if (usable && add_item(sending, &item, err))
        return true;
    free(item.path);
    if (usable)
        return false;
    bool foreign = why.code == ERROR_UNSUPPORTED; // a README, a DICOMDIR: no object that could be lost
    cli_complain(path, foreign ? " is passed over" : " is not sent", why.message);
    sending->skipped += foreign;
    sending->failed += !foreign;
    return true;
}

// ---- sending: as many files as their contexts allow on one association, then the next

static size_t propose(const struct sending *sending, size_t from, struct dimse_proposal *proposals,
                      size_t *proposal_count)
{
    size_t at = from;
    *proposal_count = 0;
    for (; at < sending->count; at++) {
        const struct item *item = &sending->items[at];
        size_t i = 0;
        while (i < *proposal_count && (strcmp(proposals[i].abstract, item->sop_class) != 0 ||
                                       strcmp(proposals[i].transfer[0], item->transfer_syntax) != 0))
            i++;
        if (i == DIMSE_CONTEXTS_MAX)
            break;
        if (i == *proposal_count)
            proposals[(*proposal_count)++] = (struct dimse_proposal){item->sop_class, {item->transfer_syntax}};
    }
    return at;
}

static bool send_one(struct sending *sending, struct dimse_association *association, const struct item *item,
                     struct error *err)
{
    uint16_t status = 0;
    char comment[65] = "";
    const struct dimse_context *context = dimse_context_for(association, item->sop_class, item->transfer_syntax);
    if (!context) {
        error_set(err, ERROR_UNSUPPORTED, "the peer does not take SOP class %s in transfer syntax %s", item->sop_class,
                  item->transfer_syntax);
        cli_complain(item->path, "", err->message);
        sending->failed++;
        return true;
    }
    int fd = file_open(item->path, NULL, err);
    if (fd < 0)
        return false;
    struct source_reader file = {reader_from_fd(fd, item->data_offset, item->size), 0, sending->block, BLOCK};
    bool ok = dimse_store(association, context, item->sop_class, item->sop_instance, source_from_reader(&file), &status,
                          comment, err);
    close(fd);
    if (!ok)
        return error_prefix(err, "%s", item->path);
    // PS3.4 Annex B.2.3: Bxxx are warnings, the object is stored.
    bool warning = (status & 0xF000) == 0xB000;
    sending->sent += status == 0 || warning;
    sending->warned += warning;
    sending->failed += status != 0 && !warning;
    if (status != 0) {
        error_set(err, ERROR_PROTOCOL, "the peer answered %04XH %s", status, comment);
        cli_complain(item->path, "", err->message);
    }
    return true;
}

static bool send_range(struct sending *sending, size_t from, size_t to, const struct dimse_proposal *proposals,
                       size_t proposal_count, struct error *err)
{
    struct dimse_association *association =
        dimse_connect(&sending->peer, proposals, proposal_count, &dimse_timers_default, err);
    if (!association)
        return false;
    for (size_t i = from; i < to; i++) {
        if (!send_one(sending, association, &sending->items[i], err)) {
            dimse_close(association);
            return false;
        }
        progress_update(&sending->bar, i + 1);
    }
    return dimse_release(association, err);
}

static bool send_all(struct sending *sending, struct error *err)
{
    struct dimse_proposal *proposals = calloc(DIMSE_CONTEXTS_MAX, sizeof *proposals);
    bool ok = proposals != NULL || error_set(err, ERROR_MEMORY, "no memory for proposals");
    progress_start(&sending->bar, "sending", "objects", sending->count);
    for (size_t from = 0; ok && from < sending->count;) {
        size_t proposal_count;
        size_t to = propose(sending, from, proposals, &proposal_count);
        ok = send_range(sending, from, to, proposals, proposal_count, err);
        from = to;
    }
    progress_end(&sending->bar, sending->sent);
    free(proposals);
    return ok;
}

// The first argument when it is a peer's address, which a file's name hardly ever is.
static bool is_peer(const char *text, char *host, size_t capacity, uint16_t *port)
{
    return text_host_port(text, host, capacity, port) && access(text, F_OK) != 0;
}

static int run(int argc, char **argv)
{
    struct cli_dicom call = {.called = CLI_TITLE, .calling = CLI_TITLE};
    const struct cli_option options[] = {CLI_DICOM_OPTIONS(&call), {NULL, NULL, NULL, NULL, NULL}};
    char host[256];
    struct sending sending = {0};
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_send, options, &status))
        return status;
    bool named = argc > 1 && is_peer(argv[1], host, sizeof host, &sending.peer.port);
    char **files = argv + 1 + named;
    if (argc < 2 || !*files)
        return cli_usage("send needs at least one file or folder, behind HOST:PORT for another peer than " CLI_DICOM);
    if (!named)
        text_host_port(CLI_DICOM, host, sizeof host, &sending.peer.port);
    sending.peer.host = host;
    sending.peer.called = call.called;
    sending.peer.calling = call.calling;
    sending.peer.fingerprint = "";
    if (cli_dicom_check(&call) != CLI_DONE)
        return CLI_USAGE;
    if (!cli_dicom_tls(&call, &sending.peer.tls, &err))
        return cli_fail(&err);
    sending.block = malloc(BLOCK);
    if (!sending.block) {
        tls_release(sending.peer.tls);
        return CLI_FAILED;
    }
    int64_t started_ns = clock_monotonic_ns();
    bool ok = cli_walk(files, look_at, &sending, &sending.failed, &err) && send_all(&sending, &err);
    printf("%zu sent, %zu with a warning, %zu refused, %zu passed over, in %.1f s\n", sending.sent, sending.warned,
           sending.failed, sending.skipped, (double)(clock_monotonic_ns() - started_ns) / 1e9);
    for (size_t i = 0; i < sending.count; i++)
        free(sending.items[i].path);
    free(sending.items);
    free(sending.block);
    tls_release(sending.peer.tls);
    if (!ok)
        return cli_fail(&err);
    return sending.failed == 0 && sending.sent > 0 ? CLI_DONE : CLI_FAILED;
}
