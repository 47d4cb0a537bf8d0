// Was a contrast agent given? From all witnesses over all objects of a volume.
//
// What is said of the series itself counts first: that one was given beats that none was. What is said of the whole
// study (an exam has series before and after the agent) counts where it says that one was given, unless it says both;
// the names of exams and phases that go with an agent count there only while the series says nothing.
#include "model/fit_parts.h"

#include <string.h>

#include "base/text.h"
#include "model/words_fold.h"

// ---- what texts say

static const char both[] = "w/wo, w/ wo, wo/w, w/o w, w/o & w, w/o and w, wo and w, w and w/o, w & w/o, w and wo, w/ "
                           "and w/o, with and without, "
                           "without and with, with without, without with, with or without, mit und ohne, ohne und mit, "
                           "mit ohne, ohne mit, nativ "
                           "und km, nativ km, nativ + km, nativ und kontrastmittel, avec et sans, sans et avec, con y "
                           "sin, sin y con, con e senza, "
                           "senza e con, com e sem, sem e com, met en zonder, z i bez, bez i z, pre post, pre and "
                           "post, pre + post, c-/c+, c+/c-";

static const char neutral[] = "high contrast, low contrast, soft contrast, tissue contrast, contrast resolution, edge "
                              "enhanced, edge enhancement, "
                              "image enhancement, t1 contrast, t2 contrast, tof angio, angio tof, tof angiography, asl "
                              "perfusion, enhanced ct image "
                              "storage, enhanced mr image storage";

static const char none[] =
    "without contrast, without contrast agent, without iv contrast, without i.v. contrast, without intravenous "
    "contrast, w/o "
    "contrast, w/o iv contrast, w/o, wo contrast, wo iv contrast, wo, non contrast, non contrasted, non contrast "
    "enhanced, "
    "noncontrast, no contrast, no iv contrast, no contrast given, no contrast agent, contrast none, contrast not "
    "given, "
    "unenhanced, non enhanced, nonenhanced, ncct, nect, nchct, native, nativ, nativer, natives, nativserie, plain, "
    "precontrast, pre contrast, pre gd, pre gad, pre km, vor km, before contrast, c-, km-, ohne km, ohne km gabe, ohne "
    "kontrast, ohne kontrastmittel, ohne kontrastmittelgabe, ohne i.v. km, ohne iv km, kein km, kein kontrastmittel, "
    "keine "
    "kontrastmittelgabe, sans injection, sans contraste, sans produit de contraste, sans pdc, sans ivi, sans iv, non "
    "injecte, non injectee, sin contraste, sin contraste iv, sin medio de contraste, sin civ, sem contraste, sem "
    "contraste iv, "
    "senza mdc, senza contrasto, senza mezzo di contrasto, smdc, zonder contrast, zonder iv contrast, blanco, bez "
    "kontrastu, "
    "bez srodka kontrastowego, без контраста, без контрастирования, без контрастного усиления, без ку, нативное, "
    "нативная, "
    "нативно, natywne, natywny, nativni, bez kl, utan kontrast, uden kontrast, uten kontrast, kontrastsiz, ilman "
    "varjoainetta, kontrasztanyag nelkul, fara contrast, χωρίς σκιαγραφικό, 平扫, 平掃, 単純, 非造影, 造影なし, "
    "造影剤なし, 비조영, 조영제 없이";

static const char given[] =
    "contrast, contrasts, contrasted, contraste, contrasto, kontrast, kontrastmittel, kontrastmittelgabe, contrast "
    "enhanced, "
    "km, km gabe, c+, +c, ce, cect, cemr, cemri, cemra, enhanced, enhancement, postcontrast, post km, post gd, post "
    "gad, "
    "post gado, gd, gad, gado, gadolinium, gadovist, dotarem, prohance, multihance, magnevist, omniscan, primovist, "
    "eovist, "
    "clariscan, omnipaque, iohexol, visipaque, iodixanol, ultravist, iopromide, isovue, iopamidol, iopamiro, imeron, "
    "iomeron, "
    "iomeprol, optiray, ioversol, xenetix, iobitridol, accupaque, solutrast, oxilan, injecte, injectee, avec "
    "injection, apres "
    "injection, iv+, civ, mdc, cmdc, mezzo di contrasto, medio de contraste, produit de contraste, pdc, kontrastem, "
    "kontrastu, kontrastowe, kontrascie, контраст, контрастом, контраста, контрастирование, контрастированием, "
    "контрастное "
    "усиление, контрастным усилением, kontrastli, varjoaine, σκιαγραφικό, 增强, 増強, 造影, 조영, ฉีดสี";

// Names of exams and phases that go with an agent.
static const char phases[] =
    "arterial, arteriell, arterielle, arteriale, arteriel, late arterial, portal, portal venous, portovenous, "
    "portalvenös, "
    "portalvenöse, venous, venös, venöse, veineux, veineuse, venoso, venosa, nephrographic, pyelographic, excretory, "
    "delayed, late phase, spätphase, cta, ctv, ctp, ccta, angio, angiography, angiographie, angiografia, angiotac, "
    "angiotc, "
    "angioscanner, perfusion, bolus, test bolus, premonitoring, dce, dsc, urogram, urographie, phlebo, phlebography, "
    "动脉期, 静脉期, 動脈相, 門脈相, 静脈相";

// Whole values of an attribute that say none, and that say nothing.
static const char none_values[] =
    "none, no, n, n/a, na, nil, null, false, not applicable, not used, not given, none given, 0, without, w/o, wo, "
    "non, nc, "
    "no contrast, without contrast, ohne, nein, kein, keine, keines, nativ, sans, aucun, aucune, sin, ninguno, "
    "ninguna, sem, "
    "nenhum, nenhuma, nao, senza, nessuno, nessuna, zonder, geen, nee, bez, brak, nie, нет, без, нету, ingen, utan, "
    "uden, "
    "uten, ei, yok, hayir, nincs, nelkul, fara, χωρίς, όχι, καμία, 无, 無, 無し, なし, 없음, ไม่มี, لا, ללא";
static const char unknown_values[] =
    "unknown, unk, not known, not stated, not specified, unspecified, undefined, other, unbekannt, inconnu, "
    "desconocido, "
    "desconhecido, sconosciuto, onbekend, nieznany, неизвестно, 不明, 未知, see report, default";

enum { SAYS_NONE = 1, SAYS_GIVEN = 2, SAYS_PHASE = 4 };

static int says(const char *text)
{
    char normal[WORDS_NORMAL_SIZE];
    int out = 0;
    words_normal(text, false, normal);
    words_strike(normal, neutral);
    if (words_strike(normal, both))
        out |= SAYS_NONE | SAYS_GIVEN;
    if (words_strike(normal, none))
        out |= SAYS_NONE;
    if (words_strike(normal, given))
        out |= SAYS_GIVEN;
    if (words_strike(normal, phases))
        out |= SAYS_PHASE;
    return out;
}

static bool is_one_of(const char *normal, const char *list)
{
    char rest[WORDS_NORMAL_SIZE];
    text_copy(rest, sizeof rest, normal);
    words_strike(rest, list);
    return strspn(rest, " |") == strlen(rest);
}

// Of a value that names the agent or its way: anything that is not none was given.
static int value_says(const char *value)
{
    char normal[WORDS_NORMAL_SIZE];
    words_normal(value, false, normal);
    if (is_one_of(normal, unknown_values)) // or without a word: "-"
        return 0;
    if (is_one_of(normal, none_values))
        return SAYS_NONE;
    int text = says(value);
    return text == SAYS_NONE ? SAYS_NONE : SAYS_GIVEN;
}

// ---- witnesses

struct verdict {
    const char *given, *none;                     // of the series: who says so
    const char *study_given, *phase, *study_none; // of the study
};

static const struct witness {
    dicom_tag tag;
    const char *name;
    enum { VALUE, CODES, AMOUNT, PRESENT, SERIES_TEXT, STUDY_TEXT } kind;
} witnesses[] = {
    {DICOM_TAG(0x0018, 0x0010), "Contrast/Bolus Agent", VALUE},
    {DICOM_TAG(0x0018, 0x0012), "Contrast/Bolus Agent Sequence", CODES},
    {DICOM_TAG(0x0018, 0x1040), "Contrast/Bolus Route", VALUE},
    {DICOM_TAG(0x0018, 0x0014), "Contrast/Bolus Administration Route Sequence", CODES},
    {DICOM_TAG(0x0018, 0x1041), "Contrast/Bolus Volume", AMOUNT},
    {DICOM_TAG(0x0018, 0x1044), "Contrast/Bolus Total Dose", AMOUNT},
    {DICOM_TAG(0x0018, 0x1046), "Contrast Flow Rate", AMOUNT},
    {DICOM_TAG(0x0018, 0x1048), "Contrast/Bolus Ingredient", VALUE},
    {DICOM_TAG(0x0018, 0x1049), "Contrast/Bolus Ingredient Concentration", AMOUNT},
    {DICOM_TAG(0x0018, 0x1042), "Contrast/Bolus Start Time", PRESENT},
    {DICOM_TAG(0x0018, 0x1043), "Contrast/Bolus Stop Time", PRESENT},
    {DICOM_TAG(0x0008, 0x103E), "Series Description", SERIES_TEXT},
    {DICOM_TAG(0x0018, 0x1030), "Protocol Name", STUDY_TEXT},
    {DICOM_TAG(0x0040, 0x0254), "Performed Procedure Step Description", STUDY_TEXT},
    {DICOM_TAG(0x0008, 0x1030), "Study Description", STUDY_TEXT},
    {DICOM_TAG(0x0032, 0x1060), "Requested Procedure Description", STUDY_TEXT},
};

enum { CODE_MEANING = DICOM_TAG(0x0008, 0x0104), CODES_MAX = 16 };

// "Contrast/Bolus Route (0018,1040) 'IV'"; NULL without memory.
static const char *testimony(struct fit *fit, const struct witness *witness, const char *value)
{
    return arena_printf(fit->arena, "%s (%04X,%04X) '%.64s'", witness->name, witness->tag >> 16, witness->tag & 0xFFFF,
                        value);
}

static const char *first_of(const char *before, const char *now)
{
    return before ? before : now;
}

static void hear_series(struct verdict *verdict, int said, const char *who)
{
    if (said & (SAYS_GIVEN | SAYS_PHASE))
        verdict->given = first_of(verdict->given, who);
    else if (said & SAYS_NONE)
        verdict->none = first_of(verdict->none, who);
}

static void hear_study(struct verdict *verdict, int said, const char *who)
{
    if (said & SAYS_NONE && said & (SAYS_GIVEN | SAYS_PHASE))
        return; // both: some of its series with, some without
    if (said & SAYS_GIVEN)
        verdict->study_given = first_of(verdict->study_given, who);
    else if (said & SAYS_PHASE)
        verdict->phase = first_of(verdict->phase, who);
    else if (said & SAYS_NONE)
        verdict->study_none = first_of(verdict->study_none, who);
}

static int codes_say(struct fit *fit, const struct dicom_dataset *header, const struct witness *witness,
                     const char **value)
{
    const struct dicom_dataset *item;
    int said = 0;
    for (size_t i = 0; i < CODES_MAX && !(said & SAYS_GIVEN) && (item = dicom_item(header, witness->tag, i)); i++) {
        *value = fit_text(fit, item, CODE_MEANING);
        said |= **value ? value_says(*value) : SAYS_GIVEN;
    }
    return said;
}

static int amount_says(const struct dicom_dataset *header, dicom_tag tag)
{
    double amount;
    for (size_t i = 0; i < CODES_MAX && dicom_number(header, tag, i, &amount); i++)
        if (amount > 0)
            return SAYS_GIVEN;
    return 0;
}

static bool hear(struct fit *fit, const struct dicom_dataset *header, const struct witness *witness,
                 struct verdict *verdict, struct error *err)
{
    const char *value = fit_text(fit, header, witness->tag);
    int said = 0;
    if (witness->kind == VALUE)
        said = value_says(value);
    else if (witness->kind == CODES)
        said = codes_say(fit, header, witness, &value);
    else if (witness->kind == AMOUNT)
        said = amount_says(header, witness->tag);
    else if (witness->kind == PRESENT)
        said = *value ? SAYS_GIVEN : 0;
    else
        said = says(value);
    const char *who = said ? testimony(fit, witness, value) : "";
    if (!who)
        return error_set(err, ERROR_LIMIT, "no memory for who says what of contrast");
    if (witness->kind == STUDY_TEXT)
        hear_study(verdict, said, who);
    else
        hear_series(verdict, said, who);
    return true;
}

static bool says_as_before(struct fit *fit, const struct model_volume *volume, size_t k, const struct witness *witness)
{
    return k > 0 && witness->kind != CODES &&
           fit_same_bytes(fit->objects[volume->slices[k].index].header,
                          fit->objects[volume->slices[k - 1].index].header, witness->tag);
}

static void judge(const struct verdict *verdict, struct model_volume *volume)
{
    const struct {
        const char *who;
        enum model_contrast answer;
    } answers[] = {
        {verdict->given, MODEL_CONTRAST_GIVEN},     {verdict->study_given, MODEL_CONTRAST_GIVEN},
        {verdict->none, MODEL_CONTRAST_NONE},       {verdict->phase, MODEL_CONTRAST_GIVEN},
        {verdict->study_none, MODEL_CONTRAST_NONE}, {"", MODEL_CONTRAST_NOT_STATED},
    };
    size_t i = 0;
    while (!answers[i].who)
        i++;
    volume->contrast = answers[i].answer;
    volume->contrast_witness = answers[i].who;
}

bool fit_contrast(struct fit *fit, struct model_volume *volume, struct error *err)
{
    struct verdict verdict = {0};
    for (size_t k = 0; k < volume->count; k++)
        for (size_t i = 0; i < sizeof witnesses / sizeof *witnesses; i++)
            if (!says_as_before(fit, volume, k, &witnesses[i]) &&
                !hear(fit, fit->objects[volume->slices[k].index].header, &witnesses[i], &verdict, err))
                return false;
    judge(&verdict, volume);
    return true;
}
