// Images that were computed from a scan and hold no attenuation of tissue any more, or another one: by Image Type, and
// by the series' description where Image Type does not say that they are original.
#include "model/fit_parts.h"

#include <string.h>

#include "base/text.h"

enum {
    IMAGE_TYPE = DICOM_TAG(0x0008, 0x0008),
    SERIES_DESCRIPTION = DICOM_TAG(0x0008, 0x103E),
    IMAGE_TYPE_VALUES_MAX = 16,
    FIRST_VALUE = 2, // values 1 and 2 say original or derived, primary or secondary
    WORDS_MAX = 24
};

enum where {
    IN_TYPE, // whole words of a value of Image Type
    IS_TYPE, // the whole value: as a word it also stands for what is made of it ("NOISE REDUCTION")
    IN_BOTH  // whole words of the series' description too
};

// PS3.3: derived pixel contrast (C.8.16.1.4), the kinds of multi-energy CT (C.8.15.3.6, C.8.2.2), and what scanners,
// consoles and workstations write. Averages (MEAN, AVERAGE, ENERGY_PROP_WT) and plane reformations (MPR, RESAMPLED,
// REFORMATTED) are slices as good as others.
static const struct {
    const char *what;
    enum where where;
    const char *words[WORDS_MAX];
} kinds[] = {
    {"maximum intensity projections", IN_BOTH, {"MIP", "MIPS", "MAXIP", "MAX IP", "MAXIMUM INTENSITY", "TMIP"}},
    {"maximum intensity projections", IN_TYPE, {"MAXIMUM"}},
    {"minimum intensity projections", IN_BOTH, {"MINIP", "MIN IP", "MINIMUM INTENSITY"}},
    {"minimum intensity projections", IN_TYPE, {"MINIMUM"}},
    {"projections", IN_TYPE, {"PROJECTION", "RAYSUM"}},
    {"renderings", IN_BOTH, {"VOLREN", "VRT", "VOLUME RENDERED", "VOLUME RENDERING", "SURFACE RENDERED"}},
    {"renderings", IN_TYPE, {"RENDERED", "RENDERING", "SSD"}},
    {"curved reformations", IN_BOTH, {"CURVED", "CPR"}},
    {"differences of images", IN_BOTH, {"SUBTRACTION", "SUBTRACTED", "DIFFERENCE MAP", "DIFFERENCE IMAGE", "DSA"}},
    {"differences of images", IS_TYPE, {"DIFFERENCE", "SUB"}},
    {"images without the bone", IN_BOTH, {"BONE REMOVED", "BONE REMOVAL", "BONEREMOVED", "BONEREMOVAL", "NO BONE"}},
    {"images of which parts were masked", IN_TYPE, {"MASKED"}},
    {"results of arithmetic", IN_TYPE, {"ADDITION", "DIVISION", "MULTIPLICATION", "STD DEVIATION", "QUANTITY"}},
    {"noise maps", IN_BOTH, {"NOISE MAP", "NOISEMAP"}},
    {"noise maps", IS_TYPE, {"NOISE"}},
    {"iodine maps", IN_BOTH, {"IODINE", "IODINEMAP"}},
    {"virtual non-contrast images",
     IN_BOTH,
     {"VNC", "VUE", "VIRTUAL NON CONTRAST", "VIRTUAL NONCONTRAST", "VIRTUAL UNENHANCED", "VIRTUALUNENHANCED",
      "VIRTUALNONCONTRAST"}},
    {"virtual images", IN_TYPE, {"VIRTUAL"}},
    {"images of one energy", IN_BOTH, {"VMI", "MONOENERGETIC", "MONO ENERGETIC", "MONOCHROMATIC", "MONOE", "MONO E"}},
    {"images of a material",
     IN_TYPE,
     {"MAT SPECIFIC", "MAT REMOVED", "MAT FRACTIONAL", "MAT MODIFIED", "MAT VALUE BASED", "EFF ATOMIC NUM",
      "ELECTRON DENSITY", "MATERIAL DENSITY", "ZEFF", "RHO"}},
    {"perfusion images",
     IN_BOTH,
     {"CBF", "CBV", "MTT", "TTP", "TMAX", "T MAX", "TTD", "RCBF", "RCBV", "PERFUSION MAP", "PERFUSION MAPS"}},
    {"perfusion images", IN_TYPE, {"PERFUSION", "PERF"}},
    {"synthetic images", IN_BOTH, {"SYNTHETIC CT", "PSEUDO CT", "PSEUDOCT", "SYNTHETICCT"}},
    {"synthetic images", IN_TYPE, {"SYNTHETIC", "PSEUDO", "SIMULATED", "PREDICTED", "SYNTHESIZED"}},
    {"parametric maps", IN_TYPE, {"MAP", "PARAMETRIC", "OVERLAY"}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

bool fit_knows_derived(const char *word)
{
    bool known = false;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < WORDS_MAX && kinds[i].words[k]; k++)
            known = known || text_same_fold(kinds[i].words[k], word);
    return known;
}

// Does the package take images of this kind, by any word for it?
static bool is_taken(const struct model_needs *needs, size_t kind)
{
    bool taken = false;
    for (size_t i = 0; i < needs->image_type_count; i++)
        for (size_t other = 0; other < KINDS; other++)
            for (size_t k = 0; strcmp(kinds[other].what, kinds[kind].what) == 0 && k < WORDS_MAX; k++)
                taken =
                    taken || (kinds[other].words[k] && text_same_fold(kinds[other].words[k], needs->image_types[i]));
    return taken;
}

static bool says_kind(const struct fit *fit, const char *text, bool is_description, size_t kind)
{
    enum where where = kinds[kind].where;
    bool says = false;
    for (size_t k = 0; k < WORDS_MAX && kinds[kind].words[k] && (!is_description || where == IN_BOTH); k++)
        says = says || (where == IS_TYPE ? text_same_fold(text, kinds[kind].words[k])
                                         : model_words_says(fit->words, text, kinds[kind].words[k]));
    return says && !is_taken(fit->needs, kind);
}

// What the text says that the images are and the model does not take; NULL nothing.
static const char *kind_in(const struct fit *fit, const char *text, bool is_description)
{
    for (size_t kind = 0; kind < KINDS; kind++)
        if (says_kind(fit, text, is_description, kind))
            return kinds[kind].what;
    return NULL;
}

// All values as they are written, with backslashes. NULL: no memory.
static const char *image_type_of(struct fit *fit, const struct dicom_dataset *header, const char **what)
{
    const char *all = "";
    *what = NULL;
    for (size_t i = 0; i < IMAGE_TYPE_VALUES_MAX && all; i++) {
        const char *value = dicom_text_at(header, IMAGE_TYPE, i, fit->arena);
        if (!value)
            return all;
        if (i >= FIRST_VALUE && !*what)
            *what = kind_in(fit, value, false);
        all = arena_printf(fit->arena, "%s%s%s", all, i > 0 ? "\\" : "", value);
    }
    return all;
}

bool fit_check_derived(struct fit *fit, struct model_volume *volume, size_t index, struct error *err)
{
    const struct dicom_dataset *header = fit->objects[index].header;
    const char *what, *type = image_type_of(fit, header, &what), *name = fit_name(fit, index);
    if (!type)
        return error_set(err, ERROR_LIMIT, "no memory for an Image Type");
    if (what)
        return fit_say(fit, &volume->unfit, err, "%s: the images are %s (Image Type %.120s); the model takes none",
                       name, what, type);
    const char *series = fit_text(fit, header, SERIES_DESCRIPTION);
    if (text_same_fold(fit_text(fit, header, IMAGE_TYPE), "ORIGINAL") || !(what = kind_in(fit, series, true)))
        return true;
    return fit_say(fit, &volume->unfit, err,
                   "%s: the images are %s (series '%.60s', Image Type %.120s); the model takes none", name, what,
                   series, *type ? type : "absent");
}
