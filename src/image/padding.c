// Padding that is not told: by the picture's corners, and by how the head ends at it.
#include "image/padding.h"

#include <math.h>

// What air may measure, with its noise; and by how much less than the picture's half the circle of a scanner may be.
enum { AIR_LOW_HU = -1100, AIR_HIGH_HU = -900, CIRCLE_SLACK_PIXELS = 2 };

// How a picture's field ends in tissue. A scanner blurs the skin over a pixel or more, so that air is never straight
// beside soft tissue but here and there: on a whole head with pixels of 1 mm that is up to 5 mm of a slice, where a
// field of view that cuts it has 40 to 350 mm, also after lossy compression (JPEG of quality 40, JPEG 2000 of 20:1).
enum {
    THIN_HU = -500,   // less is no tissue, even in part
    FILLED_HU = -850, // less is air, or what was filled in, without any part of tissue
    SOFT_LOW_HU = -150,
    SOFT_HIGH_HU = 200 // fat to brain with its noise; no bone
};
static const double SOFT_MM = 3;     // so deep is soft tissue behind what was filled in
static const double CONTACT_MM = 15; // more of a slice is an edge of the field; 20 cm2 (mask_tolerances) of a head of
                                     // 14 cm are as much

// ---- corners

// How many pixels of a row, from either end, lie beyond the circle that fits into the picture.
static size_t beyond_circle(const struct image_slice *slice, size_t row)
{
    const double *mm = slice->pixel_spacing_mm, high = slice->rows * mm[0], wide = slice->columns * mm[1];
    double radius = fmax(high, wide) / 2 - CIRCLE_SLACK_PIXELS * mm[1], y = ((double)row + .5) * mm[0] - high / 2;
    double chord = fabs(y) < radius ? sqrt(radius * radius - y * y) : 0, beyond = floor((wide / 2 - chord) / mm[1]);
    return beyond > 0 ? (size_t)beyond : 0;
}

// Padding that is not told. One end of a row, inwards by `step`, if it has the value of a corner at its side.
static void mark_end(int16_t *end, ptrdiff_t step, size_t most, size_t beyond, const int16_t corners[2])
{
    int16_t value = *end;
    if (value == IMAGE_NO_DATA_HU || (value != corners[0] && value != corners[1]))
        return;
    most = value >= AIR_LOW_HU && value <= AIR_HIGH_HU ? beyond : most;
    for (size_t i = 0; i < most && *end == value; i++, end += step)
        *end = IMAGE_NO_DATA_HU;
}

// The value of a corner that goes on both ways from it, as no noise does; else IMAGE_NO_DATA_HU.
static int16_t corner_of(const int16_t *corner, ptrdiff_t across, ptrdiff_t down)
{
    return corner[across] == *corner && corner[down] == *corner ? *corner : IMAGE_NO_DATA_HU;
}

static void mark_corners(const struct image_slice *slice, int16_t *hu)
{
    size_t columns = slice->columns;
    ptrdiff_t down = (ptrdiff_t)columns;
    int16_t *last = hu + (slice->rows - 1) * columns;
    const int16_t left[2] = {corner_of(hu, 1, down), corner_of(last, 1, -down)},
                  right[2] = {corner_of(hu + columns - 1, -1, down), corner_of(last + columns - 1, -1, -down)};
    for (size_t row = 0; row < slice->rows; row++) {
        size_t beyond = beyond_circle(slice, row);
        mark_end(hu + row * columns, 1, columns, beyond, left);
        mark_end(hu + row * columns + columns - 1, -1, columns, beyond, right);
    }
}

// ---- what goes on into tissue

// A row or column of a slice from one of its ends inwards.
struct line {
    int16_t *first;
    ptrdiff_t step;
    size_t count;
    double pixel_mm, wide_mm; // along it, across it
};

// Both ends of each row, then of each column.
static struct line line_of(const struct image_slice *slice, int16_t *hu, size_t number)
{
    const double *mm = slice->pixel_spacing_mm;
    size_t rows = slice->rows, columns = slice->columns, at = number / 2;
    struct line line = {hu + at * columns, 1, columns, mm[1], mm[0]};
    if (at >= rows)
        line = (struct line){hu + (at - rows), (ptrdiff_t)columns, rows, mm[0], mm[1]};
    if (number % 2 == 0)
        return line;
    line.first += (ptrdiff_t)(line.count - 1) * line.step;
    line.step = -line.step;
    return line;
}

static int16_t value_at(const struct line *line, size_t place)
{
    return line->first[(ptrdiff_t)place * line->step];
}

// How many pixels from the end on hold no tissue.
static size_t thin_run(const struct line *line)
{
    size_t run = 0;
    while (run < line->count && value_at(line, run) < THIN_HU)
        run++;
    return run;
}

// Does tissue of at most `most_hu` begin within one pixel behind a run of what was filled in?
static bool ends_in_tissue(const struct line *line, size_t run, int16_t most_hu)
{
    size_t deep = (size_t)fmax(2, ceil(SOFT_MM / line->pixel_mm));
    if (run == 0 || deep > line->count - run)
        return false;
    bool ends = value_at(line, run - 1) < FILLED_HU;
    for (size_t i = run; i < run + deep; i++)
        ends = ends && value_at(line, i) > SOFT_LOW_HU && value_at(line, i) < most_hu;
    return ends;
}

// How much of the slice's soft tissue begins so. Padding that is known is no question.
static double contact_of(const struct image_slice *slice, int16_t *hu, size_t lines)
{
    double sum_mm = 0;
    for (size_t i = 0; i < lines; i++) {
        struct line line = line_of(slice, hu, i);
        size_t run = thin_run(&line);
        if (ends_in_tissue(&line, run, SOFT_HIGH_HU) && value_at(&line, run - 1) != IMAGE_NO_DATA_HU)
            sum_mm += line.wide_mm;
    }
    return sum_mm;
}

// Where the field cuts tissue it cuts bone too; real air on the head's other side stays air.
static void mark_fill(const struct image_slice *slice, int16_t *hu)
{
    size_t lines = 2 * ((size_t)slice->rows + slice->columns);
    if (contact_of(slice, hu, lines) <= CONTACT_MM)
        return;
    for (size_t i = 0; i < lines; i++) {
        struct line line = line_of(slice, hu, i);
        size_t run = thin_run(&line);
        for (bool ends = ends_in_tissue(&line, run, INT16_MAX); ends && run > 0; run--)
            line.first[(ptrdiff_t)(run - 1) * line.step] = IMAGE_NO_DATA_HU;
    }
}

void padding_mark(const struct image_slice *slice, int16_t *hu)
{
    if (slice->rows < 2 || slice->columns < 2)
        return;
    mark_corners(slice, hu);
    mark_fill(slice, hu);
}
