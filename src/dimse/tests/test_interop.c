// With DCMTK's programs, on pydicom's test files.
#include "support.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"

#define FILES "/usr/lib/python3/dist-packages/pydicom/data/test_files/"

// The data set behind the file meta information of a Part 10 file.
struct object {
    struct buffer file;
    const uint8_t *data;
    size_t size;
};

static void object_read(struct object *object, const char *path)
{
    struct error err;
    buffer_init(&object->file, 64 << 20);
    if (!file_read(path, &object->file, &err))
        fail_msg("%s", err.message);
    assert_true(object->file.size > 144);
    size_t at = 144 + bytes_u32le(object->file.data + 140); // (0002,0000) is the first element
    object->data = object->file.data + at;
    object->size = object->file.size - at;
}

struct loop {
    int listening;
    uint16_t port;
    bool slow; // the client's bytes are passed on one at a time
    pthread_t thread;
    struct acceptor acceptor;
};

// Passes on what comes from one to the other until one ends.
static void pass_on(int client, int server)
{
    uint8_t block[4096];
    struct pollfd both[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    while (poll(both, 2, 5000) > 0) {
        if (both[0].revents != 0) {
            ssize_t n = recv(client, block, sizeof block, 0);
            if (n <= 0)
                return;
            for (ssize_t i = 0; i < n; i++)
                (void)!send(server, block + i, 1, MSG_NOSIGNAL);
        }
        if (both[1].revents != 0) {
            ssize_t n = recv(server, block, sizeof block, 0);
            if (n <= 0)
                return;
            (void)!send(client, block, (size_t)n, MSG_NOSIGNAL);
        }
    }
}

static void *loop_run(void *payload)
{
    struct loop *loop = payload;
    int fd = accept(loop->listening, NULL, NULL);
    if (!loop->slow) {
        acceptor_start_on(&loop->acceptor, fd, &calm_timers);
        acceptor_join(&loop->acceptor);
        return NULL;
    }
    acceptor_start(&loop->acceptor, &calm_timers);
    pass_on(fd, loop->acceptor.fd);
    close(fd);
    acceptor_end(&loop->acceptor);
    return NULL;
}

// Runs a client program against our acceptor; "PORT" in argv stands for its port.
static void expect_content_client(struct loop *loop, const char **argv)
{
    char port[8];
    loop->listening = listen_free(&loop->port);
    snprintf(port, sizeof port, "%u", loop->port);
    for (size_t i = 0; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "PORT") == 0)
            argv[i] = port;
    }
    assert_int_equal(pthread_create(&loop->thread, NULL, loop_run, loop), 0);
    run_well(argv, NULL);
    assert_int_equal(pthread_join(loop->thread, NULL), 0);
    close(loop->listening);
    assert_int_equal(loop->acceptor.outcome, DIMSE_RELEASED);
}

static void echoscu_is_content(void **context)
{
    (void)context;
    struct loop loop = {0};
    expect_content_client(&loop, (const char *[]){"echoscu", "--repeat", "5", "127.0.0.1", "PORT", NULL});
    assert_int_equal(loop.acceptor.messages, 5);
    acceptor_free(&loop.acceptor);
}

static void expect_received(struct loop *loop, const char *path)
{
    struct object object;
    object_read(&object, path);
    assert_int_equal(loop->acceptor.messages, 1);
    assert_in_range(loop->acceptor.data.size, 1, object.size);
    assert_memory_equal(loop->acceptor.data.data, object.data, loop->acceptor.data.size);
    // DCMTK does not send Data Set Trailing Padding (FFFC,FFFC).
    if (loop->acceptor.data.size < object.size)
        assert_memory_equal(object.data + loop->acceptor.data.size, "\xFC\xFF\xFC\xFF", 4);
    acceptor_free(&loop->acceptor);
    buffer_free(&object.file);
}

static void storescu_sends_what_is_in_the_file(void **context)
{
    (void)context;
    static const char *const files[] = {FILES "CT_small.dcm", FILES "MR_small.dcm"};
    for (size_t i = 0; i < 2; i++) {
        struct loop loop = {0};
        expect_content_client(&loop, (const char *[]){"storescu", "127.0.0.1", "PORT", files[i], NULL});
        expect_received(&loop, files[i]);
    }
}

static void storescu_with_small_pdus_sends_what_is_in_the_file(void **context)
{
    (void)context;
    struct loop loop = {0};
    expect_content_client(
        &loop, (const char *[]){"storescu", "--max-send-pdu", "4096", "127.0.0.1", "PORT", FILES "CT_small.dcm", NULL});
    expect_received(&loop, FILES "CT_small.dcm");
}

static void storescu_byte_by_byte_sends_what_is_in_the_file(void **context)
{
    (void)context;
    struct loop loop = {.slow = true};
    expect_content_client(&loop, (const char *[]){"storescu", "127.0.0.1", "PORT", FILES "CT_small.dcm", NULL});
    expect_received(&loop, FILES "CT_small.dcm");
}

static void dcmsend_sends_compressed_objects_as_they_are(void **context)
{
    (void)context;
    struct loop loop = {0};
    expect_content_client(
        &loop, (const char *[]){"dcmsend", "--decompress-never", "127.0.0.1", "PORT", FILES "MR_small_RLE.dcm", NULL});
    expect_received(&loop, FILES "MR_small_RLE.dcm");
}

static void storescu_aborts_without_harm(void **context)
{
    (void)context;
    struct loop loop = {0};
    char port[8];
    loop.listening = listen_free(&loop.port);
    snprintf(port, sizeof port, "%u", loop.port);
    assert_int_equal(pthread_create(&loop.thread, NULL, loop_run, &loop), 0);
    run_well((const char *[]){"echoscu", "--abort", "127.0.0.1", port, NULL}, NULL);
    assert_int_equal(pthread_join(loop.thread, NULL), 0);
    close(loop.listening);
    assert_int_equal(loop.acceptor.outcome, DIMSE_ABORTED);
    acceptor_free(&loop.acceptor);
}

// ---- our requestor with storescp

struct storescp {
    int pid;
    uint16_t port;
    char folder[TEMPORARY_SIZE];
};

static void storescp_start(struct storescp *scp)
{
    char port[8];
    struct error err;
    close(listen_free(&scp->port));
    snprintf(port, sizeof port, "%u", scp->port);
    folder_make(scp->folder, sizeof scp->folder);
    scp->pid = start_program((const char *[]){"storescp", "+B", "+xa", "-od", scp->folder, port, NULL});
    struct dimse_peer peer = {.host = "127.0.0.1", .port = scp->port, .called = "ANY", .calling = "TEST"};
    struct dimse_proposal echo = {.abstract = DIMSE_VERIFICATION, .transfer = {DICOM_TS_IMPLICIT}};
    for (int tries = 0; tries < 100; tries++) {
        struct dimse_association *a = dimse_connect(&peer, &echo, 1, &calm_timers, &err);
        uint16_t status = 1;
        if (a == NULL) {
            clock_sleep_ns(50 * CLOCK_MS);
            continue;
        }
        assert_true(dimse_echo(a, &status, &err));
        assert_int_equal(status, 0);
        assert_true(dimse_release(a, &err));
        return;
    }
    fail_msg("storescp does not answer: %s", err.message);
}

// The only file in the folder; then the folder goes.
static void storescp_end(struct storescp *scp, struct object *stored, struct buffer *dump)
{
    char path[TEMPORARY_SIZE + 256] = "";
    stop_program(scp->pid);
    DIR *folder = opendir(scp->folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", scp->folder, entry->d_name);
    }
    closedir(folder);
    object_read(stored, path);
    run_well((const char *[]){"dcmdump", path, NULL}, dump);
    folder_delete(scp->folder);
}

static void expect_storescp_takes(const char *path, const char *sop_class, const char *uid, const char *transfer)
{
    struct storescp scp;
    struct object object, stored;
    struct error err;
    uint16_t status = 1;
    struct buffer dump;
    storescp_start(&scp);
    object_read(&object, path);
    struct dimse_peer peer = {.host = "127.0.0.1", .port = scp.port, .called = "ANY", .calling = "TEST"};
    struct dimse_proposal proposal = {.abstract = sop_class, .transfer = {transfer}};
    struct dimse_association *a = dimse_connect(&peer, &proposal, 1, &calm_timers, &err);
    assert_non_null(a);
    struct source_memory memory = {.data = object.data, .size = object.size};
    assert_true(dimse_store(a, dimse_context_for(a, sop_class, transfer), sop_class, uid, source_from_memory(&memory),
                            &status, NULL, &err));
    assert_int_equal(status, 0);
    assert_true(dimse_release(a, &err));
    storescp_end(&scp, &stored, &dump);
    assert_int_equal(stored.size, object.size);
    assert_memory_equal(stored.data, object.data, object.size);
    assert_non_null(strstr((const char *)dump.data, uid));
    buffer_free(&dump);
    buffer_free(&object.file);
    buffer_free(&stored.file);
}

static void storescp_takes_our_objects_bit_for_bit(void **context)
{
    (void)context;
    expect_storescp_takes(FILES "CT_small.dcm", CT_STORAGE, "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
                          DICOM_TS_EXPLICIT);
    expect_storescp_takes(FILES "MR_small_jpeg_ls_lossless.dcm", "1.2.840.10008.5.1.4.1.1.4",
                          "1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457", "1.2.840.10008.1.2.4.80");
}

int test_interop(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoscu_is_content),
        cmocka_unit_test(storescu_sends_what_is_in_the_file),
        cmocka_unit_test(storescu_with_small_pdus_sends_what_is_in_the_file),
        cmocka_unit_test(storescu_byte_by_byte_sends_what_is_in_the_file),
        cmocka_unit_test(dcmsend_sends_compressed_objects_as_they_are),
        cmocka_unit_test(storescu_aborts_without_harm),
        cmocka_unit_test(storescp_takes_our_objects_bit_for_bit),
    };
    return cmocka_run_group_tests_name("interop", tests, NULL, NULL);
}
