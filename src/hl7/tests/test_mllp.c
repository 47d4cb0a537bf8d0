// A scripted peer in a thread: what a listener or a sender may do to us.
#include "support/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hl7/hl7.h"
#include "peer.h"

#define ORU "MSH|^~\\&|HILUM|RAD|RIS|HOSP|20261124||ORU^R01^ORU_R01|C1|P|2.5.1\rOBX|1\r"
#define ACK_HEAD "MSH|^~\\&|RIS|HOSP|HILUM|RAD|20261124||ACK|A1|P|2.5.1\r"
#define ACK(code, control) "\x0B" ACK_HEAD "MSA|" code "|" control "\r\x1C\r"

enum { REQUEST_SIZE = sizeof ORU - 1 + 3 };

// What a listener does after it has read a message; {NULL, 0} ends the list.
struct step {
    const char *send;
    size_t size;
    int wait_ms; // before it
    bool drip;   // one byte at a time
};

#define SAY(text)                                                                                                      \
    {                                                                                                                  \
        .send = text, .size = sizeof text - 1                                                                          \
    }

struct listener {
    int fd;
    unsigned short port;
    const struct step *steps;
    bool hold; // keep the connection open until the other side closes
    pthread_t thread;
};

static void say(int fd, const struct step *step)
{
    size_t piece = step->drip ? 1 : step->size;
    clock_sleep_ns(step->wait_ms * CLOCK_MS);
    for (size_t at = 0; at < step->size; at += piece) {
        if (send(fd, step->send + at, piece, MSG_NOSIGNAL) <= 0)
            return;
        if (step->drip)
            clock_sleep_ns(CLOCK_MS);
    }
}

static void *run_listener(void *payload)
{
    struct listener *listener = payload;
    char request[REQUEST_SIZE];
    int fd = accept(listener->fd, NULL, NULL);
    if (recv(fd, request, sizeof request, MSG_WAITALL) == REQUEST_SIZE)
        for (const struct step *step = listener->steps; step->send; step++)
            say(fd, step);
    while (listener->hold && recv(fd, request, sizeof request, 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static struct mllp_connection *meet(struct listener *listener)
{
    struct error err;
    listener->fd = listen_somewhere(&listener->port);
    assert_int_equal(pthread_create(&listener->thread, NULL, run_listener, listener), 0);
    struct mllp_connection *connection =
        mllp_connect(&(struct tls_target){.host = "127.0.0.1", .port = listener->port}, 5 * CLOCK_SECOND, &err);
    assert_ok(connection, err);
    return connection;
}

static void part(struct listener *listener, struct mllp_connection *connection)
{
    mllp_close(connection);
    pthread_join(listener->thread, NULL);
    close(listener->fd);
}

static bool deliver(struct mllp_connection *connection, int64_t timeout_ns, struct mllp_answer *answer,
                    struct error *err)
{
    memset(answer, 0, sizeof *answer);
    return mllp_deliver(connection, ORU, sizeof ORU - 1, "C1", timeout_ns, answer, err);
}

// The listener's steps give this outcome: a code and text, or an error.
static void check_delivery(const struct step *steps, const char *code, const char *text, enum error_code error)
{
    struct listener listener = {.steps = steps};
    struct mllp_answer answer;
    struct error err = {0};
    struct mllp_connection *connection = meet(&listener);
    bool done = deliver(connection, 5 * CLOCK_SECOND, &answer, &err);
    if (done != (error == ERROR_NONE) || err.code != error)
        fail_msg("%s: %s", error_name(err.code), err.message);
    if (done) {
        assert_string_equal(answer.code, code);
        assert_string_equal(answer.text, text);
    }
    part(&listener, connection);
}

static void every_acknowledgement_code_is_handed_up(void **state)
{
    (void)state;
    check_delivery((struct step[]){SAY(ACK("AA", "C1")), {0}}, "AA", "", ERROR_NONE);
    check_delivery((struct step[]){SAY(ACK("CA", "C1")), {0}}, "CA", "", ERROR_NONE);
    check_delivery((struct step[]){SAY(ACK("AE", "C1|busy")), {0}}, "AE", "busy", ERROR_NONE);
    check_delivery(
        (struct step[]){SAY("\x0B" ACK_HEAD "MSA|AR|C1|old\rERR|||207|E||||no such\\.br\\patient\r\x1C\r"), {0}}, "AR",
        "no such\\x0Apatient", ERROR_NONE);
}

static void a_late_answer_is_waited_for(void **state)
{
    (void)state;
    check_delivery((struct step[]){{ACK("AA", "C1"), sizeof ACK("AA", "C1") - 1, 300, false}, {0}}, "AA", "",
                   ERROR_NONE);
}

static void an_answer_byte_by_byte_is_put_together(void **state)
{
    (void)state;
    check_delivery((struct step[]){{"\r\n" ACK("AA", "C1"), sizeof ACK("AA", "C1") + 1, 0, true}, {0}}, "AA", "",
                   ERROR_NONE);
}

static void answers_to_other_messages_are_passed_over(void **state)
{
    (void)state;
    check_delivery((struct step[]){SAY(ACK("AE", "C0")), SAY(ACK("AA", "C") ACK("AA", "C1")), {0}}, "AA", "",
                   ERROR_NONE);
}

static void a_listener_that_closes_gives_an_error_not_an_answer(void **state)
{
    (void)state;
    check_delivery((struct step[]){{0}}, NULL, NULL, ERROR_CLOSED);
    check_delivery((struct step[]){SAY(ACK("AA", "C0")), {0}}, NULL, NULL, ERROR_MISMATCH);
    check_delivery((struct step[]){SAY("\x0B" ACK_HEAD "MSA|AA|C1\r"), {0}}, NULL, NULL, ERROR_PROTOCOL); // mid-answer
    check_delivery((struct step[]){SAY("\x0B" ACK_HEAD "MSA|AA|C1\r\x1C"), {0}}, NULL, NULL, ERROR_PROTOCOL);
}

static void an_answer_that_is_none_is_refused(void **state)
{
    (void)state;
    check_delivery((struct step[]){SAY("\x0Bhello\x1C\r"), {0}}, NULL, NULL, ERROR_PROTOCOL);
    check_delivery((struct step[]){SAY("\x0B" ACK_HEAD "\x1C\r"), {0}}, NULL, NULL, ERROR_PROTOCOL);
    check_delivery((struct step[]){SAY(ACK("OK", "C1")), {0}}, NULL, NULL, ERROR_PROTOCOL);
    check_delivery((struct step[]){SAY("HTTP/1.1 400 Bad Request\r\n"), {0}}, NULL, NULL, ERROR_PROTOCOL);
}

// What an interface engine says it took, it took, however it fills the rest: sent again and again the message would end
// in the dead letters.
static void an_answer_counts_in_any_character_set_and_with_a_poor_header(void **state)
{
    (void)state;
    check_delivery((struct step[]){SAY(ACK("AA", "C1|Nachricht \xFC"
                                                 "bernommen")),
                                   {0}},
                   "AA",
                   "Nachricht \xC3\xBC"
                   "bernommen",
                   ERROR_NONE);
    check_delivery((struct step[]){SAY("\x0BMSH|^~\\&|RIS|||||||A1|P|2.5.1||||||8859/15\rMSA|AA|C1\r\x1C\r"), {0}},
                   "AA", "", ERROR_NONE);
    check_delivery((struct step[]){SAY("\x0BMSH|^~\\&|RIS||||||ACK||P|2.3\rMSA|AE|C1|\xE9\r\x1C\r"), {0}}, "AE",
                   "\xC3\xA9", ERROR_NONE);
}

static void endless_answers_to_others_end_the_delivery(void **state)
{
    (void)state;
    static struct step steps[MLLP_STRAY_MAX + 2];
    for (size_t i = 0; i <= MLLP_STRAY_MAX; i++)
        steps[i] = (struct step)SAY(ACK("AA", "C0"));
    check_delivery(steps, NULL, NULL, ERROR_MISMATCH);
}

static void silence_times_out_and_the_late_answer_serves_the_next_try(void **state)
{
    (void)state;
    struct step steps[] = {{ACK("AA", "C1"), sizeof ACK("AA", "C1") - 1, 400, false}, {0}};
    struct listener listener = {.steps = steps, .hold = true};
    struct mllp_answer answer;
    struct error err;
    struct mllp_connection *connection = meet(&listener);
    int64_t began_ns = clock_monotonic_ns();
    assert_false(deliver(connection, 200 * CLOCK_MS, &answer, &err));
    int64_t took_ns = clock_monotonic_ns() - began_ns;
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_true(took_ns >= 200 * CLOCK_MS && took_ns < 390 * CLOCK_MS);
    assert_ok(deliver(connection, 5 * CLOCK_SECOND, &answer, &err), err);
    assert_string_equal(answer.code, "AA");
    part(&listener, connection);
}

static void a_drip_does_not_stretch_the_timeout(void **state)
{
    (void)state;
    static char text[4000];
    memset(text, 'x', sizeof text);
    text[0] = 0x0B;
    static char ends[4000];
    memset(ends, '\r', sizeof ends);
    const char *const drips[] = {text, ends}; // inside a frame, and between frames
    for (size_t i = 0; i < 2; i++) {
        struct step steps[] = {{drips[i], sizeof text, 0, true}, {0}};
        struct listener listener = {.steps = steps};
        struct mllp_answer answer;
        struct error err;
        struct mllp_connection *connection = meet(&listener);
        int64_t began_ns = clock_monotonic_ns();
        assert_false(deliver(connection, 300 * CLOCK_MS, &answer, &err));
        assert_int_equal(err.code, ERROR_TIMEOUT);
        assert_true(clock_monotonic_ns() - began_ns < 1000 * CLOCK_MS);
        bool usable = mllp_send(connection, ORU, sizeof ORU - 1, CLOCK_SECOND, &err);
        assert_int_equal(usable, i == 1); // half an answer cannot be taken up again
        part(&listener, connection);
    }
}

static void nobody_listening_is_an_error(void **state)
{
    (void)state;
    unsigned short port;
    struct error err;
    close(listen_somewhere(&port));
    assert_null(mllp_connect(&(struct tls_target){.host = "127.0.0.1", .port = port}, CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    assert_null(mllp_connect(&(struct tls_target){.host = "no-such-host.invalid", .port = port}, CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void what_would_break_the_frame_is_not_sent(void **state)
{
    (void)state;
    struct listener listener = {.steps = (struct step[]){{0}}, .hold = true};
    struct mllp_answer answer;
    struct error err;
    struct mllp_connection *connection = meet(&listener);
    assert_false(mllp_send(connection, "a\x0B", 2, CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_false(mllp_deliver(connection, "\x1C", 1, "C1", CLOCK_SECOND, &answer, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    char *large = calloc(1, MLLP_MESSAGE_MAX + 1);
    assert_false(mllp_send(connection, large, MLLP_MESSAGE_MAX + 1, CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    free(large);
    part(&listener, connection);
}

static void a_peer_that_does_not_read_times_the_sender_out(void **state)
{
    (void)state;
    int fds[2];
    struct error err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct mllp_connection *connection = mllp_accept(fds[0], &err);
    char *large = malloc(MLLP_MESSAGE_MAX);
    memset(large, 'x', MLLP_MESSAGE_MAX);
    assert_false(mllp_send(connection, large, MLLP_MESSAGE_MAX, 200 * CLOCK_MS, &err));
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_false(mllp_send(connection, "x", 1, CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    free(large);
    mllp_close(connection);
    close(fds[1]);
}

// ---- receiving: the sender writes into a socket pair

struct sender {
    int fd;
    const char *data;
    size_t size;
    size_t times; // data is sent as often as this, then the end
    pthread_t thread;
};

static void *run_sender(void *payload)
{
    struct sender *sender = payload;
    for (size_t i = 0; i < sender->times; i++)
        if (send(sender->fd, sender->data, sender->size, MSG_NOSIGNAL) <= 0)
            break;
    shutdown(sender->fd, SHUT_WR);
    return NULL;
}

static struct mllp_connection *receive_from(struct sender *sender)
{
    int fds[2];
    struct error err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    sender->fd = fds[1];
    assert_int_equal(pthread_create(&sender->thread, NULL, run_sender, sender), 0);
    struct mllp_connection *connection = mllp_accept(fds[0], &err);
    assert_ok(connection, err);
    return connection;
}

static void end_sender(struct sender *sender, struct mllp_connection *connection)
{
    mllp_close(connection);
    pthread_join(sender->thread, NULL);
    close(sender->fd);
}

static void several_messages_in_one_packet_come_one_by_one(void **state)
{
    (void)state;
    static const char text[] = "\x0B"
                               "first\x1C\r\r\n\x0B"
                               "second\x1C\r\x0B\x1C\r\n";
    struct sender sender = {.data = text, .size = sizeof text - 1, .times = 1};
    struct mllp_connection *connection = receive_from(&sender);
    struct buffer out;
    struct error err;
    buffer_init(&out, MLLP_MESSAGE_MAX);
    assert_ok(mllp_receive(connection, &out, CLOCK_SECOND, &err), err);
    assert_ok(mllp_receive(connection, &out, CLOCK_SECOND, &err), err);
    assert_int_equal(out.size, 11); // appended
    assert_memory_equal(out.data, "firstsecond", 11);
    assert_ok(mllp_receive(connection, &out, CLOCK_SECOND, &err), err);
    assert_int_equal(out.size, 11); // the empty one
    assert_false(mllp_receive(connection, &out, CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    buffer_free(&out);
    end_sender(&sender, connection);
}

static void waiting_goes_on_after_a_timeout_between_messages(void **state)
{
    (void)state;
    int fds[2];
    struct error err;
    struct buffer out;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct mllp_connection *connection = mllp_accept(fds[0], &err);
    buffer_init(&out, MLLP_MESSAGE_MAX);
    assert_false(mllp_receive(connection, &out, 50 * CLOCK_MS, &err));
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_int_equal(send(fds[1], "\x0Bx\x1C\r", 4, 0), 4);
    assert_ok(mllp_receive(connection, &out, CLOCK_SECOND, &err), err);
    assert_int_equal(out.size, 1);
    buffer_free(&out);
    mllp_close(connection);
    close(fds[1]);
}

static void check_frame_refused(const char *data, size_t size, size_t times, size_t limit, enum error_code code)
{
    struct sender sender = {.data = data, .size = size, .times = times};
    struct mllp_connection *connection = receive_from(&sender);
    struct buffer out;
    struct error err;
    buffer_init(&out, limit);
    assert_false(mllp_receive(connection, &out, 5 * CLOCK_SECOND, &err));
    if (err.code != code)
        fail_msg("%s: %s", error_name(err.code), err.message);
    assert_true(out.capacity <= MLLP_MESSAGE_MAX);
    assert_false(mllp_receive(connection, &out, 5 * CLOCK_SECOND, &err)); // and stays so
    assert_int_equal(err.code, ERROR_CLOSED);
    buffer_free(&out);
    end_sender(&sender, connection);
}

// bad-input, line 73
static void a_frame_without_end_with_a_start_inside_or_past_the_limit_is_refused(void **state)
{
    (void)state;
    enum { BLOCK = 1 << 20 };
    static const struct {
        const char *data;
    } rows[] = {{"\x0Bno end"},
                {"\x0Ba start\x0B inside\x1C\r"},
                {"\x0B"
                 "a\x1C"
                 "b\x1C\r"},
                {"\x0B"
                 "a\x1C\x0B"
                 "b"},
                {"\x0Bone\x0B\rtwo\x1C\r"},
                {"no start\x1C\r"},
                {"\r\n\x1C\r"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_frame_refused(rows[i].data, strlen(rows[i].data), 1, MLLP_MESSAGE_MAX, ERROR_PROTOCOL);
    // 100 MB: the start byte comes with the first block, all that follows is text.
    char *block = malloc(BLOCK);
    memset(block, 'x', BLOCK);
    int fds[2];
    struct error err;
    struct buffer out;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(send(fds[1], "\x0B", 1, 0), 1);
    struct sender sender = {.fd = fds[1], .data = block, .size = BLOCK, .times = 100};
    assert_int_equal(pthread_create(&sender.thread, NULL, run_sender, &sender), 0);
    struct mllp_connection *connection = mllp_accept(fds[0], &err);
    buffer_init(&out, 2 * MLLP_MESSAGE_MAX);
    assert_false(mllp_receive(connection, &out, 5 * CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_PROTOCOL);
    assert_true(out.size <= MLLP_MESSAGE_MAX);
    end_sender(&sender, connection);
    buffer_free(&out);
    free(block);
}

static void a_message_past_the_callers_buffer_is_refused(void **state)
{
    (void)state;
    check_frame_refused("\x0B"
                        "0123456789\x1C\r",
                        13, 1, 9, ERROR_LIMIT);
}

int test_mllp(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_acknowledgement_code_is_handed_up),
        cmocka_unit_test(a_late_answer_is_waited_for),
        cmocka_unit_test(an_answer_byte_by_byte_is_put_together),
        cmocka_unit_test(answers_to_other_messages_are_passed_over),
        cmocka_unit_test(a_listener_that_closes_gives_an_error_not_an_answer),
        cmocka_unit_test(an_answer_that_is_none_is_refused),
        cmocka_unit_test(an_answer_counts_in_any_character_set_and_with_a_poor_header),
        cmocka_unit_test(endless_answers_to_others_end_the_delivery),
        cmocka_unit_test(silence_times_out_and_the_late_answer_serves_the_next_try),
        cmocka_unit_test(a_drip_does_not_stretch_the_timeout),
        cmocka_unit_test(nobody_listening_is_an_error),
        cmocka_unit_test(what_would_break_the_frame_is_not_sent),
        cmocka_unit_test(a_peer_that_does_not_read_times_the_sender_out),
        cmocka_unit_test(several_messages_in_one_packet_come_one_by_one),
        cmocka_unit_test(waiting_goes_on_after_a_timeout_between_messages),
        cmocka_unit_test(a_frame_without_end_with_a_start_inside_or_past_the_limit_is_refused),
        cmocka_unit_test(a_message_past_the_callers_buffer_is_refused),
    };
    return cmocka_run_group_tests_name("hl7 MLLP", tests, NULL, NULL);
}
