// Connected components with as many labels as there are, for the .c files of this room.
#ifndef IMAGE_MASK_LABEL_H
#define IMAGE_MASK_LABEL_H

#include "image/mask.h"

// 26-connected components, numbered from 1 in the order of their first voxels. *sizes (freed by the caller) holds the
// voxels of label 1 at [1] and so on to [*count].
bool mask_label(const uint8_t *mask, const size_t size[3], uint32_t *labels, size_t **sizes, size_t *count,
                struct error *err);

#endif
