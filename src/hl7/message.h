// Inside the room: the parts of a message, shared by the parser and by the answer to a message that does not parse.
#ifndef HL7_MESSAGE_H
#define HL7_MESSAGE_H

#include "hl7/hl7.h"

struct hl7_slice {
    const char *text;
    size_t size;
};

struct hl7_delimiters {
    char field, component, repetition, escape, subcomponent;
    char truncation; // HL7 2.7
};

// Reads MSH-1 and MSH-2 of a text that begins with "MSH". false (BAD_DATA) when they are unusable.
bool hl7_read_delimiters(struct hl7_slice header, struct hl7_delimiters *out, struct error *err);

// hl7_parse for an answer, of which MSA is what matters: MSH-9 and MSH-10 may be missing, and text in an unknown
// character set is read as ISO 8859-1.
bool hl7_parse_loose(const char *text, size_t size, struct arena *arena, const struct hl7_message **out,
                     struct error *err);

// Up to the next CR or LF; *text moves behind it. CR LF gives an empty line more, which every caller passes over.
struct hl7_slice hl7_next_line(struct hl7_slice *text);

// The n-th piece, from 1; {"", 0} when there are fewer.
struct hl7_slice hl7_piece(struct hl7_slice whole, char separator, size_t nth);

// NULL when the arena is full. `latin1`: bytes of \X..\ are ISO 8859-1.
const char *hl7_unescape(struct hl7_slice text, const struct hl7_delimiters *delimiters, bool latin1,
                         struct arena *arena);

#endif
