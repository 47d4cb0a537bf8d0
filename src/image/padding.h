// Padding that is not told, for the .c files of this room.
#ifndef IMAGE_PADDING_H
#define IMAGE_PADDING_H

#include "image/volume.h"

// Of a slice of CT in HU [rows][columns], what is no image data though no attribute says so becomes IMAGE_NO_DATA_HU:
// from the ends of a row on the value of a corner of the picture, if that is not as dense as air, or beyond the circle
// that a scanner reconstructs, where even air is none; and what is as thin as air between the picture's edge and soft
// tissue that begins within one pixel, as no skin does, over more than a slice of a whole head has of such.
void padding_mark(const struct image_slice *slice, int16_t *hu);

#endif
