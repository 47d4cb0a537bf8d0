#include "dicom/input.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dicom/reader.h"

bool dicom_input_init(struct dicom_input *input, struct source source, bool deflated, struct error *err)
{
    *input = (struct dicom_input){.source = source, .deflated = deflated};
    if (!deflated)
        return true;
    input->block = malloc(DICOM_INPUT_BLOCK);
    if (!input->block)
        return error_set(err, ERROR_MEMORY, "out of memory for inflating a data set");
    if (inflateInit2(&input->inflate, -MAX_WBITS) != Z_OK) {
        free(input->block);
        return error_set(err, ERROR_MEMORY, "out of memory for inflating a data set");
    }
    return true;
}

void dicom_input_close(struct dicom_input *input)
{
    if (!input->deflated)
        return;
    inflateEnd(&input->inflate);
    free(input->block);
}

// Counts what has been read of the stream, for the ratio that tells a deflate bomb.
static bool next_raw(struct dicom_input *input, struct error *err)
{
    if (!input->source.next(input->source.payload, &input->raw, &input->raw_size, err))
        return false;
    input->raw_total += input->raw_size;
    return true;
}

// What may follow a deflate stream: zeros, by which senders pad to even length or to a block, and before them the
// trailer of the gzip format (CRC-32 and length, RFC 1952), which some deflaters leave behind. The trailer is known by
// its length field.
static bool check_trailer(struct dicom_input *input, struct error *err)
{
    uint8_t trailer[8] = {0};
    uint64_t count = 0;
    bool zeros = true, zeros_behind = true;
    do {
        for (size_t i = 0; i < input->raw_size; i++, count++) {
            if (count < sizeof trailer)
                trailer[count] = input->raw[i];
            zeros = zeros && input->raw[i] == 0;
            zeros_behind = zeros_behind && (count < sizeof trailer || input->raw[i] == 0);
        }
        if (!next_raw(input, err))
            return false;
    } while (input->raw_size > 0);
    bool gzip = count >= sizeof trailer && zeros_behind && bytes_u32le(trailer + 4) == (uint32_t)input->block_total;
    if (zeros || gzip)
        return true;
    return error_set(err, ERROR_BAD_DATA, "bytes other than zero follow the end of the deflated data set");
}

static bool check_ratio(const struct dicom_input *input, struct error *err)
{
    if (input->block_total <= DICOM_INFLATE_FREE || input->block_total / DICOM_INFLATE_RATIO_MAX <= input->raw_total)
        return true;
    return error_set(err, ERROR_LIMIT,
                     "the deflated data set inflates to more than %d times its size; refused as a deflate bomb",
                     DICOM_INFLATE_RATIO_MAX);
}

// Runs zlib once over what raw bytes are at hand.
static bool inflate_some(struct dicom_input *input, struct error *err)
{
    z_stream *z = &input->inflate;
    size_t given = input->raw_size < (1 << 30) ? input->raw_size : 1 << 30; // zlib counts in unsigned int
    z->next_in = (z_const Bytef *)input->raw;
    z->avail_in = (uInt)given;
    z->next_out = input->block;
    z->avail_out = DICOM_INPUT_BLOCK;
    int result = inflate(z, Z_NO_FLUSH);
    input->raw = z->next_in;
    input->raw_size -= given - z->avail_in;
    if (result == Z_MEM_ERROR)
        return error_set(err, ERROR_MEMORY, "out of memory for inflating a data set");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return error_set(err, ERROR_BAD_DATA, "the deflated data set is damaged: %s",
                         z->msg ? z->msg : "no deflate stream");
    input->inflate_ended = result == Z_STREAM_END;
    input->piece = input->block;
    input->piece_size = DICOM_INPUT_BLOCK - z->avail_out;
    input->block_total += input->piece_size;
    return check_ratio(input, err);
}

static bool next_inflated(struct dicom_input *input, struct error *err)
{
    while (input->piece_size == 0) {
        if (input->inflate_ended) {
            input->ended = true;
            return check_trailer(input, err);
        }
        if (!inflate_some(input, err))
            return false;
        if (input->piece_size > 0 || input->inflate_ended || input->raw_size > 0)
            continue;
        if (!next_raw(input, err))
            return false;
        if (input->raw_size == 0)
            return error_set(err, ERROR_BAD_DATA, "the deflated data set is cut off after %llu bytes",
                             (unsigned long long)input->raw_total);
    }
    return true;
}

// Makes piece_size > 0, or `ended`.
static bool refill(struct dicom_input *input, struct error *err)
{
    if (input->piece_size > 0 || input->ended)
        return true;
    if (input->deflated)
        return next_inflated(input, err);
    if (!input->source.next(input->source.payload, &input->piece, &input->piece_size, err))
        return false;
    input->ended = input->piece_size == 0;
    return true;
}

bool dicom_input_peek(struct dicom_input *input, size_t need, const uint8_t **data, size_t *size, struct error *err)
{
    if (input->carry_size == 0) {
        if (!refill(input, err))
            return false;
        if (input->piece_size >= need || input->ended) {
            *data = input->piece;
            *size = input->piece_size;
            return true;
        }
    }
    while (input->carry_size < need) {
        if (!refill(input, err))
            return false;
        if (input->ended)
            break;
        size_t wanted = need - input->carry_size;
        size_t part = wanted < input->piece_size ? wanted : input->piece_size;
        memcpy(input->carry + input->carry_size, input->piece, part);
        input->carry_size += part;
        input->piece += part;
        input->piece_size -= part;
    }
    *data = input->carry;
    *size = input->carry_size;
    return true;
}

static uint64_t take_carry(struct dicom_input *input, uint8_t *to, uint64_t size)
{
    size_t part = size < input->carry_size ? (size_t)size : input->carry_size;
    if (to && part > 0)
        memcpy(to, input->carry, part);
    input->carry_size -= part;
    memmove(input->carry, input->carry + part, input->carry_size);
    return part;
}

bool dicom_input_take(struct dicom_input *input, void *to, uint64_t size, uint64_t *done, struct error *err)
{
    uint8_t *bytes = to;
    *done = input->carry_size > 0 ? take_carry(input, bytes, size) : 0;
    while (*done < size) {
        if (!bytes && input->piece_size == 0 && !input->deflated && input->source.pass)
            *done += input->source.pass(input->source.payload, size - *done);
        if (!refill(input, err))
            return false;
        if (input->ended)
            break;
        uint64_t left = size - *done;
        size_t part = left < input->piece_size ? (size_t)left : input->piece_size;
        if (bytes)
            memcpy(bytes + *done, input->piece, part);
        input->piece += part;
        input->piece_size -= part;
        *done += part;
    }
    input->position += *done;
    return true;
}
