// Unaligned integers in either byte order.
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t bytes_u16le(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t bytes_u32le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bytes_u64le(const uint8_t *p)
{
    return (uint64_t)bytes_u32le(p) | (uint64_t)bytes_u32le(p + 4) << 32;
}

static inline uint16_t bytes_u16be(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t bytes_u32be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline uint64_t bytes_u64be(const uint8_t *p)
{
    return (uint64_t)bytes_u32be(p) << 32 | (uint64_t)bytes_u32be(p + 4);
}

static inline void bytes_put_u16le(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void bytes_put_u32le(uint8_t *p, uint32_t v)
{
    bytes_put_u16le(p, (uint16_t)v);
    bytes_put_u16le(p + 2, (uint16_t)(v >> 16));
}

static inline void bytes_put_u64le(uint8_t *p, uint64_t v)
{
    bytes_put_u32le(p, (uint32_t)v);
    bytes_put_u32le(p + 4, (uint32_t)(v >> 32));
}

static inline void bytes_put_u16be(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void bytes_put_u32be(uint8_t *p, uint32_t v)
{
    bytes_put_u16be(p, (uint16_t)(v >> 16));
    bytes_put_u16be(p + 2, (uint16_t)v);
}

static inline void bytes_put_u64be(uint8_t *p, uint64_t v)
{
    bytes_put_u32be(p, (uint32_t)(v >> 32));
    bytes_put_u32be(p + 4, (uint32_t)v);
}

#endif
