// A look at an ONNX file before anything else reads it: that it is one, and that it takes no data from other files.
//
// ONNX is protobuf: messages of (field number, wire type, value). Only the ways from the model to its tensors are
// followed, as the table says; all else is passed over by its length.
#include "model/package.h"

#include <string.h>

#include "base/text.h"

enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING, ENTRY };
enum { DEPTH_MAX = 32, WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static const struct {
    enum message from;
    uint32_t field;
    enum message to;
} ways[] = {
    {MODEL, 7, GRAPH},         {MODEL, 20, TRAINING},   {MODEL, 25, FUNCTION},  {GRAPH, 1, NODE},
    {GRAPH, 5, TENSOR},        {GRAPH, 15, SPARSE},     {NODE, 5, ATTRIBUTE},   {ATTRIBUTE, 5, TENSOR},
    {ATTRIBUTE, 6, GRAPH},     {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH}, {ATTRIBUTE, 22, SPARSE},
    {ATTRIBUTE, 23, SPARSE},   {SPARSE, 1, TENSOR},     {SPARSE, 2, TENSOR},    {FUNCTION, 7, NODE},
    {FUNCTION, 11, ATTRIBUTE}, {TRAINING, 1, GRAPH},    {TRAINING, 2, GRAPH},   {TENSOR, 13, ENTRY},
};

struct look {
    size_t graphs; // how many were seen
};

struct cursor {
    const uint8_t *at, *end;
};

static bool no_onnx(struct error *err)
{
    return error_set(err, ERROR_BAD_DATA, "the graph is no ONNX file");
}

static bool varint(struct cursor *cursor, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
        uint8_t byte = *cursor->at++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

// One field; `bytes` is what it holds when it is a message or text, and empty otherwise.
static bool next_field(struct cursor *cursor, uint32_t *field, uint64_t *number, struct cursor *bytes)
{
    uint64_t key, size = 0;
    *number = 0;
    *bytes = (struct cursor){cursor->at, cursor->at};
    if (!varint(cursor, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return false;
    *field = (uint32_t)(key >> 3);
    switch (key & 7) {
    case WIRE_VARINT:
        return varint(cursor, number);
    case WIRE_BYTES:
        if (!varint(cursor, &size))
            return false;
        break;
    case WIRE_32:
        size = 4;
        break;
    case WIRE_64:
        size = 8;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(cursor->end - cursor->at))
        return false;
    if ((key & 7) == WIRE_BYTES)
        *bytes = (struct cursor){cursor->at, cursor->at + size};
    cursor->at += size;
    return true;
}

static bool look_into(struct look *look, enum message kind, struct cursor cursor, unsigned depth, struct error *err);

static bool follow(struct look *look, enum message kind, uint32_t field, struct cursor inside, unsigned depth,
                   struct error *err)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (ways[i].from == kind && ways[i].field == field)
            return look_into(look, ways[i].to, inside, depth + 1, err);
    return true;
}

// An entry of external_data is refused by what it says: its last value is enough to find it by.
static bool refuse_entry(struct cursor cursor, struct error *err)
{
    char shown[80];
    uint32_t field;
    uint64_t number;
    struct cursor bytes, value = {cursor.at, cursor.at};
    while (cursor.at < cursor.end && next_field(&cursor, &field, &number, &bytes))
        if (field == 2)
            value = bytes;
    return error_set(err, ERROR_BAD_DATA, "the graph takes data from another file ('%s'); put them into it",
                     text_show(shown, sizeof shown, value.at, (size_t)(value.end - value.at)));
}

static bool look_into(struct look *look, enum message kind, struct cursor cursor, unsigned depth, struct error *err)
{
    uint32_t field;
    uint64_t number;
    struct cursor bytes;
    if (depth > DEPTH_MAX)
        return error_set(err, ERROR_BAD_DATA, "the graph is nested deeper than %d", DEPTH_MAX);
    if (kind == ENTRY)
        return refuse_entry(cursor, err);
    look->graphs += kind == GRAPH;
    while (cursor.at < cursor.end) {
        if (!next_field(&cursor, &field, &number, &bytes))
            return no_onnx(err);
        if (kind == TENSOR && field == 14 && number != 0)
            return error_set(err, ERROR_BAD_DATA, "the graph takes data from another file; put them into it");
        if (!follow(look, kind, field, bytes, depth, err))
            return false;
    }
    return true;
}

bool onnx_check(const void *data, size_t size, struct error *err)
{
    struct look look = {0};
    struct cursor cursor = {data, (const uint8_t *)data + size};
    if (size == 0)
        return no_onnx(err);
    return look_into(&look, MODEL, cursor, 0, err) && (look.graphs > 0 || no_onnx(err));
}
