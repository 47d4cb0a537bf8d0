#include "dimse_command.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

enum kind { NUMBER, UID, TEXT };

// Which messages have an element when written.
enum use { NEVER, ALWAYS, REQUEST, STORE_REQUEST, RESPONSE, IF_TEXT, IF_MOVE };

static const struct field {
    uint16_t element; // of group 0000; ascending
    enum kind kind;
    enum use use;
    size_t offset; // in struct dimse_command_set
    size_t capacity;
} fields[] = {
#define FIELD(element, kind, use, member)                                                                              \
    {                                                                                                                  \
        element, kind, use, offsetof(struct dimse_command_set, member), sizeof((struct dimse_command_set *)0)->member  \
    }
    FIELD(0x0002, UID, IF_TEXT, message.sop_class),
    FIELD(0x0003, UID, NEVER, message.sop_class),
    FIELD(0x0100, NUMBER, ALWAYS, message.command),
    FIELD(0x0110, NUMBER, REQUEST, own_id),
    FIELD(0x0120, NUMBER, RESPONSE, answered_id),
    FIELD(0x0700, NUMBER, STORE_REQUEST, message.priority),
    FIELD(0x0800, NUMBER, ALWAYS, data_set_type),
    FIELD(0x0900, NUMBER, RESPONSE, message.status),
    FIELD(0x0902, TEXT, IF_TEXT, message.error_comment),
    FIELD(0x1000, UID, IF_TEXT, message.sop_instance),
    FIELD(0x1001, UID, NEVER, message.sop_instance),
    FIELD(0x1030, TEXT, IF_MOVE, message.move_originator),
    FIELD(0x1031, NUMBER, IF_MOVE, message.move_message_id),
#undef FIELD
};

enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static bool is_response(uint16_t command)
{
    return (command & 0x8000) != 0;
}

static size_t field_index(uint16_t element)
{
    size_t i = 0;
    while (i < FIELD_COUNT && fields[i].element != element)
        i++;
    return i;
}

static bool present(const struct dimse_command_set *set, uint16_t element)
{
    return (set->present >> field_index(element) & 1) != 0;
}

// A NUL inside would hide what stands behind it: no UID holds what it becomes. Titles and comments go to logs,
// terminals and pages.
static void clean(enum kind kind, char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (kind == UID ? text[i] == '\0' : text[i] < ' ' || text[i] > '~')
            text[i] = kind == UID ? '\\' : '?';
}

static bool read_value(struct dimse_command_set *set, const struct field *field, const uint8_t *value, size_t size)
{
    char *place = (char *)set + field->offset;
    if (field->kind == NUMBER) {
        if (size != 2)
            return false;
        uint16_t number = bytes_u16le(value);
        memcpy(place, &number, sizeof number);
        return true;
    }
    const char *text = (const char *)value;
    text_trim(&text, &size);
    text_copy_n(place, field->capacity, text, size);
    clean(field->kind, place, size < field->capacity ? size : field->capacity - 1);
    if (field->kind == UID && size > 0 && !dicom_uid_is_valid(text, size))
        set->message.uids_valid = false;
    return true;
}

static bool read_elements(struct dimse_command_set *set, const uint8_t *data, size_t size, struct error *err)
{
    while (size > 0) {
        if (size < 8)
            return error_set(err, ERROR_PROTOCOL, "a command set ends inside an element");
        uint16_t group = bytes_u16le(data);
        uint16_t element = bytes_u16le(data + 2);
        uint32_t length = bytes_u32le(data + 4);
        if (group != 0)
            return error_set(err, ERROR_PROTOCOL, "a command set holds element (%04X,%04X)", group, element);
        if (length > size - 8)
            return error_set(err, ERROR_PROTOCOL, "command element (0000,%04X) is longer than its set", element);
        size_t index = field_index(element);
        if (index < FIELD_COUNT) {
            if (!read_value(set, &fields[index], data + 8, length))
                return error_set(err, ERROR_PROTOCOL, "command element (0000,%04X) has length %u", element, length);
            set->present |= UINT32_C(1) << index;
        }
        data += 8 + (size_t)length;
        size -= 8 + (size_t)length;
    }
    return true;
}

bool dimse_command_read(const uint8_t *data, size_t size, struct dimse_message *message, struct error *err)
{
    struct dimse_command_set set = {.message.uids_valid = true};
    if (!read_elements(&set, data, size, err))
        return false;
    if (!present(&set, 0x0100) || !present(&set, 0x0800))
        return error_set(err, ERROR_PROTOCOL, "a command set lacks Command Field or Command Data Set Type");
    // What is not there would read as 0000H, which is success.
    if (is_response(set.message.command) && (!present(&set, 0x0120) || !present(&set, 0x0900)))
        return error_set(err, ERROR_PROTOCOL,
                         "response %04X lacks Message ID Being Responded To (0000,0120) or Status (0000,0900)",
                         set.message.command);
    // C-CANCEL names the request that it cancels in the same element as a response does.
    bool answers = is_response(set.message.command) || set.message.command == DIMSE_C_CANCEL_RQ;
    set.message.message_id = answers ? set.answered_id : set.own_id;
    set.message.has_data = set.data_set_type != DIMSE_NO_DATA_SET;
    *message = set.message;
    return true;
}

static bool used(const struct dimse_command_set *set, const struct field *field)
{
    const struct dimse_message *message = &set->message;
    switch (field->use) {
    case NEVER:
        return false;
    case ALWAYS:
        return true;
    case REQUEST:
        return !is_response(message->command);
    case STORE_REQUEST:
        return message->command == DIMSE_C_STORE_RQ;
    case RESPONSE:
        return is_response(message->command);
    case IF_TEXT:
        return *((const char *)set + field->offset) != '\0';
    case IF_MOVE:
        return message->move_originator[0] != '\0';
    }
    return false;
}

static void write_value(const struct dimse_command_set *set, const struct field *field, struct buffer *out)
{
    const char *place = (const char *)set + field->offset;
    uint16_t number;
    size_t size = field->kind == NUMBER ? 2 : strlen(place);
    buffer_u16le(out, 0);
    buffer_u16le(out, field->element);
    buffer_u32le(out, (uint32_t)(size + size % 2));
    if (field->kind == NUMBER) {
        memcpy(&number, place, sizeof number);
        buffer_u16le(out, number);
        return;
    }
    buffer_append(out, place, size);
    if (size % 2 != 0)
        buffer_byte(out, field->kind == UID ? 0 : ' ');
}

void dimse_command_write(const struct dimse_message *message, struct buffer *out)
{
    struct dimse_command_set set = {.message = *message,
                                    .own_id = message->message_id,
                                    .answered_id = message->message_id,
                                    .data_set_type = message->has_data ? 0 : DIMSE_NO_DATA_SET};
    size_t begun = out->size;
    buffer_u32le(out, 0); // (0000,0000) group length
    buffer_u32le(out, 4);
    buffer_u32le(out, 0);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (used(&set, &fields[i]))
            write_value(&set, &fields[i], out);
    }
    if (!out->failed)
        bytes_put_u32le(out->data + begun + 8, (uint32_t)(out->size - begun - 12));
}
