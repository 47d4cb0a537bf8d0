// Inside the room: the frame of MLLP taken apart, a pure function of the bytes.
//
//   state      byte       action                  next
//   BETWEEN    0B         -                       INSIDE
//   BETWEEN    0D 0A      passed over             BETWEEN
//   BETWEEN    other      refused                 -
//   INSIDE     1C         -                       ENDING
//   INSIDE     0B         refused                 -
//   INSIDE     other      appended                INSIDE     (refused past MLLP_MESSAGE_MAX)
//   ENDING     0D         message is whole        BETWEEN
//   ENDING     other      refused                 -
#ifndef HL7_MLLP_FRAME_H
#define HL7_MLLP_FRAME_H

#include "hl7/hl7.h"

enum mllp_state { MLLP_BETWEEN, MLLP_INSIDE, MLLP_ENDING };

struct mllp_frame {
    enum mllp_state state;
    size_t size; // of the message so far
};

// Takes bytes up to the end of a message; *used says how many, *whole whether it is complete. false (PROTOCOL, LIMIT)
// ends the connection.
bool mllp_frame_take(struct mllp_frame *frame, const uint8_t *data, size_t size, size_t *used, bool *whole,
                     struct buffer *out, struct error *err);

#endif
