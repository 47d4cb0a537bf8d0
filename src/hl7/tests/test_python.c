// Against python3-hl7, an implementation that shares nothing with ours.
#include "support/check.h"
#include "support/scratch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hl7/hl7.h"
#include "peer.h"

enum { TEXT_SIZE = 64 << 10, PARTS_LEAST = 20 };

// UTF-8 as Python's unicode_escape of it, for texts up to U+00FF. `to` has four times the room.
static void show(const char *text, char *to)
{
    static const char digits[] = "0123456789abcdef";
    for (; *text; text++) {
        unsigned c = (unsigned char)*text;
        if (c == '\\' || c == '\n') {
            *to++ = '\\';
            *to++ = c == '\n' ? 'n' : '\\';
        } else if (c < 0x20 || c >= 0x7F) {
            if (c >= 0xC2)
                c = (c & 3) << 6 | ((unsigned char)*++text & 0x3F);
            *to++ = '\\';
            *to++ = 'x';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        } else {
            *to++ = (char)c;
        }
    }
    *to = '\0';
}

// Every part that Python sees is what hl7_get gives. `listing` is cut into lines.
static void check_parts(const struct hl7_message *message, char *listing)
{
    size_t count = 0;
    char *next, shown[512];
    for (char *line = listing; *line; line = next, count++) {
        char segment[4];
        unsigned n[5];
        int behind = 0;
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        int read = sscanf(line, "%3s.%u.%u.%u.%u.%u%n", segment, &n[0], &n[1], &n[2], &n[3], &n[4], &behind);
        if (read != 6 || line[behind] != ' ')
            fail_msg("peer.py said \"%s\"", line);
        const char *got = hl7_get(message, segment, n[0], n[1], n[2], n[3], n[4], &scratch);
        assert_true(strlen(got) < sizeof shown / 4);
        show(got, shown);
        if (strcmp(shown, line + behind + 1) != 0)
            fail_msg("peer.py sees \"%s\", we \"%s\"", line, shown);
    }
    assert_true(count >= PARTS_LEAST);
}

static const struct hl7_message *parsed(const char *text, size_t size)
{
    const struct hl7_message *message;
    struct error err;
    assert_ok(hl7_parse(text, size, &scratch, &message, &err), err);
    return message;
}

static void write_message(struct buffer *out, const char *control)
{
    struct hl7_writer writer = {.out = out};
    static const char *const texts[] = {"plain", "a|b^c~d\\e&f", "two\nlines", "caf\xC3\xA9 \xC3\xBC", "\\F\\ as text",
                                        "",      "\x01 control", NULL};
    buffer_init(out, HL7_MESSAGE_MAX);
    hl7_write_header(&writer, &(struct hl7_header){"HILUM", "RAD", "RIS", "HOSP", "ORU^R01^ORU_R01", control, "P", 0});
    hl7_segment(&writer, "PID");
    hl7_components(&writer, 3, texts);
    for (unsigned i = 0; i < 5; i++) {
        hl7_segment(&writer, "NTE");
        hl7_field(&writer, 1, texts[i]);
        hl7_components(&writer, 3, (const char *const[]){"a", texts[i], texts[4 - i], NULL});
        hl7_repeat(&writer, (const char *const[]){texts[i], "", "z", NULL});
    }
    hl7_segment(&writer, "OBX");
    hl7_raw(&writer, 5, "^application^pdf^Base64^JVBERi0=", 32);
    hl7_end(&writer);
}

static void python_reads_what_we_write_field_by_field(void **state)
{
    (void)state;
    struct buffer out;
    struct peer peer;
    char listing[TEXT_SIZE];
    write_message(&out, "C-1");
    peer_start(&peer, "fields", NULL);
    peer_write(&peer, out.data, out.size);
    peer_read(&peer, listing, sizeof listing, 0);
    peer_end(&peer);
    check_parts(parsed((const char *)out.data, out.size), listing);
    assert_non_null(strstr(listing, "MSH.0.1.1.1.1 |"));
    buffer_free(&out);
}

static void we_read_what_python_writes_field_by_field(void **state)
{
    (void)state;
    struct peer peer;
    char text[TEXT_SIZE];
    peer_start(&peer, "make", NULL);
    peer_read(&peer, text, sizeof text, 0);
    peer_end(&peer);
    char *listing = strchr(text, '\n');
    assert_non_null(listing);
    const struct hl7_message *message = parsed(text, (size_t)(listing - text));
    check_parts(message, listing + 1);
    assert_string_equal(hl7_get(message, "NTE", 0, 3, 1, 1, 1, &scratch), "a|b^c~d\\e&f");
    assert_string_equal(hl7_get(message, "NTE", 0, 4, 1, 1, 1, &scratch), "two\nlines");
    assert_string_equal(hl7_get(message, "NTE", 0, 5, 1, 1, 1, &scratch), "caf\xC3\xA9 \xC3\xBC");
    assert_string_equal(hl7_get(message, "NTE", 0, 6, 1, 1, 1, &scratch), "\\F\\ as text");
}

static void a_python_listener_takes_our_delivery(void **state)
{
    (void)state;
    struct peer peer;
    struct error err;
    char line[32];
    peer_start(&peer, "server", NULL);
    peer_read(&peer, line, sizeof line, 1);
    struct mllp_connection *connection = mllp_connect(
        &(struct tls_target){.host = "127.0.0.1", .port = (uint16_t)strtoul(line, NULL, 10)}, 5 * CLOCK_SECOND, &err);
    assert_ok(connection, err);
    for (int i = 0; i < 3; i++) { // over one connection
        struct mllp_answer answer;
        struct buffer out;
        char control[8];
        snprintf(control, sizeof control, "D-%d", i);
        write_message(&out, control);
        assert_ok(mllp_deliver(connection, (const char *)out.data, out.size, control, 5 * CLOCK_SECOND, &answer, &err),
                  err);
        assert_string_equal(answer.code, "AA");
        buffer_free(&out);
    }
    mllp_close(connection);
    peer_end(&peer);
}

static void a_python_sender_gets_our_answer(void **state)
{
    (void)state;
    unsigned short port;
    struct buffer out, received, answer;
    struct peer peer;
    struct error err;
    char text[64];
    int listener = listen_somewhere(&port);
    snprintf(text, sizeof text, "%u", (unsigned)port);
    peer_start(&peer, "client", text);
    write_message(&out, "S-1");
    peer_write(&peer, out.data, out.size);
    struct mllp_connection *connection = mllp_accept(accept(listener, NULL, NULL), &err);
    assert_ok(connection, err);
    buffer_init(&received, MLLP_MESSAGE_MAX);
    buffer_init(&answer, MLLP_MESSAGE_MAX);
    assert_ok(mllp_receive(connection, &received, 5 * CLOCK_SECOND, &err), err);
    assert_int_equal(received.size, out.size);
    assert_memory_equal(received.data, out.data, out.size);
    hl7_write_answer(&(struct hl7_writer){.out = &answer}, (const char *)received.data, received.size, "AA", NULL,
                     "OURS", 0);
    assert_ok(mllp_send(connection, (const char *)answer.data, answer.size, 5 * CLOCK_SECOND, &err), err);
    peer_read(&peer, text, sizeof text, 1);
    assert_string_equal(text, "AA S-1");
    peer_end(&peer);
    assert_false(mllp_receive(connection, &received, 5 * CLOCK_SECOND, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    mllp_close(connection);
    close(listener);
    buffer_free(&out);
    buffer_free(&received);
    buffer_free(&answer);
}

int test_python(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(python_reads_what_we_write_field_by_field, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(we_read_what_python_writes_field_by_field, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_python_listener_takes_our_delivery, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_python_sender_gets_our_answer, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests_name("hl7 with python3-hl7", tests, NULL, NULL);
}
