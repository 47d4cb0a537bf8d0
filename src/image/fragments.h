// Which fragments of encapsulated pixel data make which frame (PS3.5 section A.4). For frames.c.
#ifndef IMAGE_FRAGMENTS_H
#define IMAGE_FRAGMENTS_H

#include "image/frames.h"

// Fills in frames->fragment_count and frames->starts, from frames->pixels and the extended offset table in `dataset`.
bool fragments_map(struct image_frames *frames, const struct dicom_dataset *dataset, struct error *err);

// Of frame `index`, which must be one: frames->pixels->fragments[*first] and the *count - 1 that follow. BAD_DATA when
// they hold no byte.
bool fragments_of(const struct image_frames *frames, uint32_t index, size_t *first, size_t *count, struct error *err);

#endif
