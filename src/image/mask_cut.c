// Where a mask ends because the images do.
#include "image/mask.h"

#include <math.h>

const struct mask_tolerances mask_tolerances = {.cut_mm2 = 2000, .sideways = .5};

// Of the voxel's two sides along an axis, those at which the images end.
static unsigned ends_at(const int16_t *hu, size_t at, size_t place, size_t size, size_t stride)
{
    return (unsigned)(place == 0 || hu[at - stride] == IMAGE_NO_DATA_HU) +
           (unsigned)(place + 1 == size || hu[at + stride] == IMAGE_NO_DATA_HU);
}

double mask_cut_mm2(const uint8_t *mask, const int16_t *hu, const struct image_geometry *geometry)
{
    const double *mm = geometry->spacing_mm, face_mm2[3] = {mm[1] * mm[2], mm[0] * mm[2], mm[0] * mm[1]};
    const size_t rows = geometry->rows, columns = geometry->columns, area = rows * columns;
    bool sideways = fabs(geometry->normal[0]) >= mask_tolerances.sideways;
    size_t faces[3] = {0}, at = 0;
    for (size_t k = 0; k < geometry->slices; k++)
        for (size_t j = 0; j < rows; j++)
            for (size_t i = 0; i < columns; i++, at++) {
                if (!mask[at])
                    continue;
                faces[0] += sideways ? ends_at(hu, at, k, geometry->slices, area) : 0;
                faces[1] += ends_at(hu, at, j, rows, columns);
                faces[2] += ends_at(hu, at, i, columns, 1);
            }
    return (double)faces[0] * face_mm2[0] + (double)faces[1] * face_mm2[1] + (double)faces[2] * face_mm2[2];
}
