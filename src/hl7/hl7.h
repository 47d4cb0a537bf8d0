// The hl7 room: HL7 v2 messages (2.5.1, chapter 2) and MLLP (Minimal Lower Layer Protocol, HL7 release 1), both directions. What is done with a message is decided above.
//
// A parsed message keeps its bytes; fields are slices. Delimiters are the message's own (MSH-1, MSH-2). Character set: MSH-18 UNICODE UTF-8 or absent means UTF-8;
// 8859/1 is converted; any other is refused.
#ifndef HL7_HL7_H
#define HL7_HL7_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

enum {
    HL7_MESSAGE_MAX = 4 << 20,
    HL7_SEGMENTS_MAX = 10000,
    HL7_FIELDS_MAX = 512, // of a segment
};

struct hl7_message; // in an arena

// BAD_DATA when it does not begin with MSH and usable delimiters (five different characters that are no letters, digits or controls), or past the limits. Line ends CR, LF or CR LF. The bytes are copied.
bool hl7_parse(const char *text, size_t size, struct arena *arena, const struct hl7_message **out, struct error *err);

// How many segments of this name; the index of the n-th of them is what the next functions take.
size_t hl7_count(const struct hl7_message *message, const char *segment);

// Field, repetition, component, subcomponent, each from 1 as in the standard ("PID-3.1" is field 3, component 1); MSH-1 is the field separator itself. Unescaped (\F\ \S\ \T\ \R\ \E\ \X..\ \.br\), in `arena`.
// "" when absent; NULL when the arena is full. HL7 null ("" in quotes) is given as it stands: two quote characters.
const char *hl7_get(const struct hl7_message *message, const char *segment, size_t nth, unsigned field,
                    unsigned repetition, unsigned component, unsigned subcomponent, struct arena *arena);
size_t hl7_repetitions(const struct hl7_message *message, const char *segment, size_t nth, unsigned field);

// ---- making messages, delimiters |^~\&, segments ended by CR

struct hl7_writer {
    struct buffer *out; // the caller's
    unsigned field;     // of the segment being written; 0: none
};

void hl7_segment(struct hl7_writer *writer, const char *name); // ends the one before
void hl7_field(
    struct hl7_writer *writer, unsigned field,
    const char *text); // field numbers must rise (asserted); escaped; skipped ones are left empty; NULL is empty
void hl7_components(struct hl7_writer *writer, unsigned field,
                    const char *const *components); // NULL-ended; each escaped, "" for an empty one
void hl7_repeat(struct hl7_writer *writer,
                const char *const *components); // a further repetition of the field just written
void hl7_raw(struct hl7_writer *writer, unsigned field, const char *text, size_t size); // as it is: base64
void hl7_end(struct hl7_writer *writer);                                                // ends the last segment

// MSH of 2.5.1 with UNICODE UTF-8; `type` as "ORU^R01^ORU_R01"; `control` is MSH-10 (at most 20 characters); time in UTC.
struct hl7_header {
    const char *sending_application, *sending_facility, *receiving_application, *receiving_facility;
    const char *type;
    const char *control;
    const char *processing; // "P", "D", "T"
    int64_t time_ns;
};
void hl7_write_header(struct hl7_writer *writer, const struct hl7_header *header);

// ---- MLLP: <0B> message <1C><0D>

struct mllp_connection; // one thread

enum { MLLP_MESSAGE_MAX = HL7_MESSAGE_MAX };

struct mllp_connection *mllp_connect(const char *host, uint16_t port, int64_t timeout_ns, struct error *err);
struct mllp_connection *mllp_accept(int fd, struct error *err); // takes the socket
void mllp_close(struct mllp_connection *connection);            // NULL is fine

bool mllp_send(struct mllp_connection *connection, const char *message, size_t size, int64_t timeout_ns,
               struct error *err);
// The next message's bytes without the frame, appended to `out`. CLOSED at an orderly end between messages; TIMEOUT; PROTOCOL for bytes outside a frame other than CR or LF, a start byte inside a frame, or past MLLP_MESSAGE_MAX.
bool mllp_receive(struct mllp_connection *connection, struct buffer *out, int64_t timeout_ns, struct error *err);

// Sends and waits for the acknowledgement of this control ID; acknowledgements for others are passed over (a late answer to an earlier try). *code: "AA", "AE", "AR" or "CA" ... ; *text: MSA-3 or ERR-8, for a person.
struct mllp_answer {
    char code[3];
    char text[160];
};
bool mllp_deliver(struct mllp_connection *connection, const char *message, size_t size, const char *control,
                  int64_t timeout_ns, struct mllp_answer *answer, struct error *err);

#endif
