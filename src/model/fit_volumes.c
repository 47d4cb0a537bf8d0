// Images to volumes.
#include "model/fit_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool fit_make_volumes(struct fit *fit, struct error *err)
{
    struct model_volume *volume = arena_alloc(fit->arena, sizeof *volume);
    struct error why;
    if (!volume || !(volume->slices = arena_calloc(fit->arena, fit->image_count, sizeof *volume->slices)))
        return error_set(err, ERROR_LIMIT, "no memory for a volume of %zu slices", fit->image_count);
    for (size_t i = 0; i < fit->image_count; i++) {
        size_t k = 0;
        bool same = false;
        for (; k < volume->count && !same; k++)
            if (memcmp(volume->slices[k].position_mm, fit->images[i].slice.position_mm,
                       sizeof volume->slices[k].position_mm) == 0 &&
                !fit->same(fit->payload, volume->slices[k].index, fit->images[i].slice.index, &same, err))
                return false;
        if (!same)
            volume->slices[volume->count++] = fit->images[i].slice;
        else if (!fit_leave_out(fit, fit->images[i].slice.index, "double", err))
            return false;
    }
    volume->label = "";
    fit->out->volumes = volume;
    fit->out->volume_count = 1;
    if (!image_geometry_of(volume->slices, volume->count, &volume->geometry, &why))
        return fit_say(fit, &volume->unfit, err, "%s", why.message);
    volume->coverage_mm = volume->geometry.spacing_mm[0] * (double)volume->count;
    return true;
}
