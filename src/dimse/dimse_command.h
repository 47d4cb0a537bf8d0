// Command sets (PS3.7 section 6.3.1 and Annex E): group 0000 in implicit VR little endian.
#ifndef DIMSE_COMMAND_H
#define DIMSE_COMMAND_H

#include "dimse.h"

enum { DIMSE_NO_DATA_SET = 0x0101 }; // (0000,0800)

// The message with what becomes message_id and has_data.
struct dimse_command_set {
    struct dimse_message message;
    uint16_t own_id;        // (0000,0110)
    uint16_t answered_id;   // (0000,0120)
    uint16_t data_set_type; // (0000,0800)
    uint32_t present;       // a bit for each row of the table in dimse_command.c
};

// false, with *err set, when the bytes are no command set or lack Command Field or Command Data Set Type, or when they
// are a response that lacks Message ID Being Responded To or Status, which each response has (PS3.7 sections 9.3 and
// 10.3).
bool dimse_command_read(const uint8_t *data, size_t size, struct dimse_message *message, struct error *err);

// A request has its message_id in (0000,0110), a response in (0000,0120) and its status. Texts that are "" are left
// out.
void dimse_command_write(const struct dimse_message *message, struct buffer *out);

#endif
