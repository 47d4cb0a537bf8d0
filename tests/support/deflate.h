// What a deflated data set or frame is made of.
#ifndef SUPPORT_DEFLATE_H
#define SUPPORT_DEFLATE_H

#include "base/buffer.h"

// Appends `size` bytes as RFC 1951 has them, without a header around. Asserts.
void deflate_bytes(struct buffer *out, const void *data, size_t size);

#endif
