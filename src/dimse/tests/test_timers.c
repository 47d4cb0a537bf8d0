// Peers that are slow or silent (docs: bad input, line 57).
#include "support.h"

#include <sys/socket.h>
#include <unistd.h>

static void expect_end_by(struct acceptor *acceptor, int64_t least_ns, int64_t most_ns)
{
    acceptor_join(acceptor); // the peer keeps its end open
    close(acceptor->fd);
    assert_true(acceptor->took_ns >= least_ns);
    assert_true(acceptor->took_ns < most_ns);
    assert_int_equal(acceptor->err.code, ERROR_TIMEOUT);
    acceptor_free(acceptor);
}

static void a_silent_connection_ends_at_artim(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    acceptor_start(&acceptor, &quick_timers);
    expect_end_by(&acceptor, quick_timers.artim_ns, 2 * quick_timers.artim_ns);
    assert_false(acceptor.asked);
}

// Sends `bytes` one by one, 20 ms apart, until all are out or the acceptor has closed.
static void drip(int fd, const struct buffer *bytes)
{
    for (size_t i = 0; i < bytes->size && send(fd, bytes->data + i, 1, MSG_NOSIGNAL) == 1; i++)
        clock_sleep_ns(20 * CLOCK_MS);
}

static void a_request_byte_by_byte_ends_at_artim(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_associate(&out, &(struct raw_request){0});
    acceptor_start(&acceptor, &quick_timers);
    drip(acceptor.fd, &out);
    expect_end_by(&acceptor, quick_timers.artim_ns, 2 * quick_timers.artim_ns);
    assert_false(acceptor.asked);
    buffer_free(&out);
}

static void a_peer_that_stops_after_its_request_ends_at_artim(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    acceptor_start(&acceptor, &quick_timers);
    peer_associate(acceptor.fd);
    assert_int_equal(peer_receive(acceptor.fd, NULL), 7);
    // ARTIM for the first message and, as the peer does not close, once more after the abort
    expect_end_by(&acceptor, 2 * quick_timers.artim_ns, 3 * quick_timers.artim_ns);
}

static void echo_once(int fd)
{
    struct buffer out, command;
    buffer_init(&out, 1024);
    buffer_init(&command, 1024);
    raw_element(&command, 0x0002, DIMSE_VERIFICATION "\0", 18);
    raw_element(&command, 0x0100, "\x30\x00", 2);
    raw_element(&command, 0x0110, "\x01\x00", 2);
    raw_element(&command, 0x0800, "\x01\x01", 2);
    raw_value(&out, 1, 3, command.data, command.size);
    peer_send(fd, &out);
    assert_int_equal(peer_receive(fd, NULL), 4);
    buffer_free(&out);
    buffer_free(&command);
}

static void a_peer_that_stops_between_messages_ends_at_the_idle_limit(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    acceptor_start(&acceptor, &quick_timers);
    peer_associate(acceptor.fd);
    echo_once(acceptor.fd);
    expect_end_by(&acceptor, quick_timers.idle_ns + quick_timers.artim_ns,
                  quick_timers.idle_ns + 2 * quick_timers.artim_ns);
    assert_int_equal(acceptor.messages, 1);
}

static void a_peer_that_stops_inside_an_object_ends_at_the_transfer_limit(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_store(&out);
    raw_value(&out, 1, 0, "data", 4);
    acceptor_start(&acceptor, &quick_timers);
    peer_associate(acceptor.fd);
    peer_send(acceptor.fd, &out);
    expect_end_by(&acceptor, quick_timers.transfer_ns + quick_timers.artim_ns,
                  quick_timers.transfer_ns + 2 * quick_timers.artim_ns);
    assert_true(acceptor.data_broken);
    buffer_free(&out);
}

static void a_pdu_byte_by_byte_ends_at_the_transfer_limit(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_store(&out);
    acceptor_start(&acceptor, &quick_timers);
    peer_associate(acceptor.fd);
    drip(acceptor.fd, &out);
    expect_end_by(&acceptor, quick_timers.transfer_ns, 5 * CLOCK_SECOND);
    assert_int_equal(acceptor.messages, 0);
    buffer_free(&out);
}

static void a_peer_that_does_not_read_its_answers_ends_at_the_transfer_limit(void **context)
{
    (void)context;
    struct acceptor acceptor = {.way = ACCEPTOR_PASSES};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    for (int i = 0; i < 200; i++) {
        raw_store(&out);
        raw_value(&out, 1, 2, "data", 4);
    }
    acceptor_start(&acceptor, &quick_timers);
    int small = 1;
    setsockopt(acceptor.own_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    peer_associate(acceptor.fd);
    peer_send(acceptor.fd, &out);
    expect_end_by(&acceptor, quick_timers.transfer_ns, 5 * CLOCK_SECOND);
    buffer_free(&out);
}

static void an_interrupt_from_another_thread_ends_the_wait(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    echo_once(acceptor.fd);
    acceptor_interrupt(&acceptor);
    acceptor_join(&acceptor);
    close(acceptor.fd);
    assert_int_equal(acceptor.outcome, DIMSE_BROKEN);
    assert_true(acceptor.took_ns < calm_timers.idle_ns / 2);
    acceptor_free(&acceptor);
}

int test_timers(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_connection_ends_at_artim),
        cmocka_unit_test(a_request_byte_by_byte_ends_at_artim),
        cmocka_unit_test(a_peer_that_stops_after_its_request_ends_at_artim),
        cmocka_unit_test(a_peer_that_stops_between_messages_ends_at_the_idle_limit),
        cmocka_unit_test(a_peer_that_stops_inside_an_object_ends_at_the_transfer_limit),
        cmocka_unit_test(a_pdu_byte_by_byte_ends_at_the_transfer_limit),
        cmocka_unit_test(a_peer_that_does_not_read_its_answers_ends_at_the_transfer_limit),
        cmocka_unit_test(an_interrupt_from_another_thread_ends_the_wait),
    };
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
