// The hl7 room: HL7 v2 messages (2.5.1, chapter 2) and MLLP (Minimal Lower Layer Protocol, HL7 release 1), both
// directions. What is done with a message is decided above.
//
// A parsed message keeps its bytes; fields are slices of them, cut when asked for. Delimiters are the message's own
// (MSH-1, MSH-2). Character set: MSH-18 UNICODE UTF-8, ASCII or absent means UTF-8; 8859/1 is converted; any other is
// refused.
#ifndef HL7_HL7_H
#define HL7_HL7_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/tls.h"

enum {
    HL7_MESSAGE_MAX = 4 << 20,
    HL7_SEGMENTS_MAX = 10000,
    HL7_FIELDS_MAX = 512,  // of a segment
    HL7_CONTROL_MAX = 199, // characters of MSH-10 as received; 2.5.1 says 20, 2.7 says 199
    HL7_CONTROL_OWN_MAX = 20,
};

#define HL7_VERSION "2.5.1"         // MSH-12 of what we write
#define HL7_CHARSET "UNICODE UTF-8" // MSH-18

struct hl7_message; // in an arena

// Line ends are CR, LF or CR LF; the bytes are copied. BAD_DATA when it does not begin with a whole MSH: usable
// delimiters (five different ASCII punctuation marks; a sixth, truncation, may follow), a message type (MSH-9) and a
// control ID (MSH-10); for a line that is no segment, a second MSH, a NUL or bytes that are no UTF-8. UNSUPPORTED for
// another character set, LIMIT past the limits above, MEMORY when the arena is full.
bool hl7_parse(const char *text, size_t size, struct arena *arena, const struct hl7_message **out, struct error *err);

// How many segments of this name; the index of the n-th of them, from 0, is what the next functions take.
size_t hl7_count(const struct hl7_message *message, const char *segment);

// Where in the message that segment stands, from 0 (MSH): says which OBX belongs to which OBR. SIZE_MAX when there is
// none.
size_t hl7_position(const struct hl7_message *message, const char *segment, size_t nth);

// Field, repetition, component, subcomponent, each from 1 as in the standard ("PID-3.1" is field 3, component 1); MSH-1
// is the field separator itself. Unescaped (\F\ \S\ \T\ \R\ \E\ \X..\; \.br\ is a line feed; \H\ and \N\ fall away;
// what is no escape stays as it stands), in `arena`. "" when absent; NULL when the arena is full. HL7 null ("" in
// quotes) is given as it stands: two quote characters.
const char *hl7_get(const struct hl7_message *message, const char *segment, size_t nth, unsigned field,
                    unsigned repetition, unsigned component, unsigned subcomponent, struct arena *arena);
size_t hl7_repetitions(const struct hl7_message *message, const char *segment, size_t nth, unsigned field);

// ---- making messages, delimiters |^~\&, segments ended by CR

// Text is escaped: delimiters, and what text_is_control of base/text.h knows but for tabs (\X..\, of its bytes in
// UTF-8); bytes that are no UTF-8 become U+FFFD. A line end is a space, in hl7_formatted \.br\. A writer begins as
// {.out = buffer}.
struct hl7_writer {
    struct buffer *out; // the caller's
    bool open;          // a segment is being written
    unsigned field;     // the last one written of it; 0: none yet
};

void hl7_segment(struct hl7_writer *writer, const char *name); // ends the one before
// Field numbers must rise (asserted); skipped ones are left empty; NULL is empty.
void hl7_field(struct hl7_writer *writer, unsigned field, const char *text);
void hl7_formatted(struct hl7_writer *writer, unsigned field, const char *text); // of type FT or TX; 2.5.1, 2.7.6
// NULL-ended; "" for an empty one.
void hl7_components(struct hl7_writer *writer, unsigned field, const char *const *components);
// A further repetition of the field just written.
void hl7_repeat(struct hl7_writer *writer, const char *const *components);
void hl7_raw(struct hl7_writer *writer, unsigned field, const char *text, size_t size); // as it is: base64
void hl7_end(struct hl7_writer *writer);                                                // ends the last segment

// "" for a text that is an order and no value: two quotation marks alone tell a receiver to delete what it has (2.5.1,
// 2.5.3 and 2.7). No component is ever written so.
const char *hl7_value(const char *text);

enum { HL7_TIME_SIZE = 24 };
// "20261124140336.123+0100": in this server's zone. `out` has HL7_TIME_SIZE characters. Returns `out`.
const char *hl7_time(char *out, int64_t time_ns);
// The same read (2.A.22): to the second at least, in the zone that it names, else in ours. false: it is less, or none.
bool hl7_time_read(const char *text, int64_t *out);

// MSH of 2.5.1 with UNICODE UTF-8; `type` as "ORU^R01^ORU_R01"; `control` is MSH-10 (at most HL7_CONTROL_OWN_MAX
// characters, asserted).
struct hl7_header {
    const char *sending_application, *sending_facility, *receiving_application, *receiving_facility;
    const char *type;
    const char *control;
    const char *processing; // "P", "D", "T"
    int64_t time_ns;
};
void hl7_write_header(struct hl7_writer *writer, const struct hl7_header *header);

// A whole acknowledgement (MSH, MSA, and ERR when `refusal` is not NULL) of the bytes that came. They need not be a
// message that parses: what can be read of their MSH is answered, so that a refused sender learns which message it was.
// `code` is "AA", "AE", "AR" ("CA" ...); `refusal` gives MSA-3, ERR-3 (table 0357) and ERR-8.
void hl7_write_answer(struct hl7_writer *writer, const char *received, size_t size, const char *code,
                      const struct error *refusal, const char *control, int64_t time_ns);

// ---- MLLP: <0B> message <1C><0D>

struct mllp_connection; // one thread

enum {
    MLLP_MESSAGE_MAX = HL7_MESSAGE_MAX,
    MLLP_STRAY_MAX = 1000, // answers to other messages that mllp_deliver passes over
};
#define MLLP_TRANSFER_NS (60 * CLOCK_SECOND) // a message must be whole this long after its start byte

// Looking up a name may take longer than the timeout. Fails as tls_connect does.
struct mllp_connection *mllp_connect(const struct tls_target *to, int64_t timeout_ns, struct error *err);
struct mllp_connection *mllp_accept(int fd, struct error *err); // takes the socket, on failure too
void mllp_close(struct mllp_connection *connection);            // NULL is fine

// Timeouts are above 0. A failure leaves the connection of no further use (CLOSED afterwards), but for TIMEOUT while no
// message had begun: the next call waits on.
bool mllp_send(struct mllp_connection *connection, const char *message, size_t size, int64_t timeout_ns,
               struct error *err);
// The next message's bytes without the frame, appended to `out`; on failure it holds what had come. The timeout is
// for the start byte, MLLP_TRANSFER_NS for the rest. CLOSED at an orderly end between messages; TIMEOUT; PROTOCOL for
// bytes outside a frame other than CR or LF, a start byte inside a frame, 1C without 0D, an end inside a frame, or past
// MLLP_MESSAGE_MAX; LIMIT past out->limit.
bool mllp_receive(struct mllp_connection *connection, struct buffer *out, int64_t timeout_ns, struct error *err);

// Sends and waits for the acknowledgement of this control ID, all within the timeout; acknowledgements for others are
// passed over (a late answer to an earlier try). true when one came, whatever it says: look at the code. MISMATCH when
// only such came: both control IDs are in the message.
struct mllp_answer {
    char code[3];    // MSA-1: "AA", "AE", "AR", "CA", "CE", "CR"
    char text[160];  // ERR-8, else MSA-3, for a person; cut at a character border
    int64_t said_ns; // MSH-7: what time it was there, by its zone or, where it names none, ours; 0: it does not say
};
bool mllp_deliver(struct mllp_connection *connection, const char *message, size_t size, const char *control,
                  int64_t timeout_ns, struct mllp_answer *answer, struct error *err);

#endif
