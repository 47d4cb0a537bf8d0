// Was a contrast agent given? From all witnesses over all objects of a volume.
#include "model/fit_parts.h"

bool fit_contrast(struct fit *fit, struct model_volume *volume, struct error *err)
{
    volume->contrast = MODEL_CONTRAST_NOT_STATED;
    volume->contrast_witness = "";
    for (size_t k = 0; k < volume->count; k++) {
        const char *agent = fit_text(fit, fit->objects[volume->slices[k].index].header, DICOM_TAG(0x0018, 0x0010));
        if (!*agent)
            continue;
        volume->contrast = MODEL_CONTRAST_GIVEN;
        return fit_say(fit, &volume->contrast_witness, err, "Contrast/Bolus Agent (0018,0010) '%s'", agent);
    }
    return true;
}
