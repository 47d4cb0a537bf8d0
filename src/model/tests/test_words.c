// What descriptions say: whole words in every script, terms that mean something else, and parts of the body.
#include "support.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/words.h"

static struct model_words *open_words(const char *synonyms)
{
    struct error err;
    struct model_words *words = model_words_open(synonyms, &err);
    assert_ok(words != NULL, err);
    return words;
}

static void words_are_whole_words(void **state)
{
    static const struct {
        const char *description, *word;
        bool said;
    } cases[] = {
        {"CT head without contrast", "head", true},
        {"CT HEAD", "head", true},
        {"HEAD", "Head", true},
        {"CT ahead of schedule", "head", false},
        {"overhead", "head", false},
        {"forehead", "head", false},
        {"headache", "head", false},
        {"CT_Head_nativ", "head", true},
        {"CT-Head-nativ", "head", true},
        {"HeadRoutine", "head", true},
        {"HeadRoutine (Adult)", "routine", true},
        {"01_HeadSeq", "head", true},
        {"head5mm", "head", true},
        {"5mm head", "head", true},
        {"Head/Neck", "neck", true},
        {"(head)", "head", true},
        {"cCT nativ", "cct", true},
        {"CCTA", "cct", false},
        {"T1w", "T1", true},
        {"T12", "T1", false},
        {"T1 w", "T1w", true},
        {"", "head", false},
        {"head", "", false},
        {"head", " - ", false},
        {"cerebral", "cerebr*", true},
        {"Cerebrum", "cerebr*", true},
        {"intracerebral", "cerebr*", false},
        {"cerebral", "cerebr", false},
        {"head and neck", "and neck", true},
        {"head and neck", "head neck", false},
        {"FEMORAL HEAD", "femoral head", true},
        {"left femoral head and neck", "femoral head", true},
    };
    (void)state;
    struct model_words *words = open_words("");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (model_words_says(words, cases[i].description, cases[i].word) != cases[i].said)
            fail_msg("'%s' %s '%s'", cases[i].description, cases[i].said ? "does not say" : "says", cases[i].word);
    model_words_close(words);
}

static void case_and_accents_fold_in_latin_greek_and_cyrillic(void **state)
{
    static const char *const same[][2] = {
        {"CT Schädel", "SCHÄDEL"},
        {"CT Schaedel", "Schädel"},
        {"CT Schädel", "schaedel"},
        {"CT Schadel", "Schädel"},
        {"CT Scha\xCC\x88"
         "del",
         "Schädel"}, // an umlaut of two characters
        {"CT Scha\xCC\x88"
         "del",
         "Schaedel"},
        {"TÊTE", "tete"},
        {"crane", "crâne"},
        {"CRÂNIO", "crânio"},
        {"Cabeça", "CABECA"},
        {"głowy", "GLOWY"},
        {"Fuß", "fuss"},
        {"cœur", "COEUR"},
        {"ГОЛОВА", "голова"},
        {"Чёрный", "черный"},
        {"ΚΕΦΑΛΉΣ", "κεφαλης"},
        {"ΕΓΚΕΦΑΛΟΣ", "εγκέφαλος"},
        {"ＨＥＡＤ", "head"}, // full-width
    };
    (void)state;
    struct model_words *words = open_words("");
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!model_words_says(words, same[i][0], same[i][1]))
            fail_msg("'%s' does not say '%s'", same[i][0], same[i][1]);
    assert_false(model_words_says(words, "головастик", "голова"));
    assert_false(model_words_says(words, "κεφαλικός", "κεφαλή"));
    model_words_close(words);
}

static void scripts_without_spaces_are_found_inside(void **state)
{
    (void)state;
    struct model_words *words = open_words("");
    assert_true(model_words_says(words, "头部CT平扫", "头部"));
    assert_true(model_words_says(words, "CT头部平扫", "CT"));
    assert_true(model_words_says(words, "頭部単純CT", "頭部"));
    assert_true(model_words_says(words, "ซีทีสแกนสมอง", "สมอง"));
    assert_true(model_words_says(words, "뇌CT", "뇌"));
    assert_false(model_words_says(words, "胸部CT", "头部"));
    model_words_close(words);
}

// Examined, description, asked; is it?
static const struct {
    const char *examined, *description, *asked;
    bool is;
} parts[] = {
    // the case of the program's own package
    {"HEAD", "", "HEAD", true},
    {"BRAIN", "", "HEAD", true},
    {"SKULL", "", "HEAD", true},
    {"CRANIUM", "", "HEAD", true},
    {"Schädel", "", "HEAD", true},
    {"KOPF", "", "HEAD", true},
    {"", "CCT nativ", "HEAD", true},
    {"", "cCT", "HEAD", true},
    {"", "Schaedel nativ", "HEAD", true},
    {"", "CT Schädel", "HEAD", true},
    {"", "Schädel-CT", "HEAD", true},
    {"", "Scanner cérébral sans injection", "HEAD", true},
    {"", "TC cranio senza mdc", "HEAD", true},
    {"", "TAC craneal simple", "HEAD", true},
    {"", "TC de crânio", "HEAD", true},
    {"", "CT hersenen", "HEAD", true},
    {"", "TK głowy", "HEAD", true},
    {"", "КТ головного мозга", "HEAD", true},
    {"", "头颅CT平扫", "HEAD", true},
    {"", "頭部単純", "HEAD", true},
    {"", "뇌 CT", "HEAD", true},
    {"", "CT สมอง", "HEAD", true},
    {"", "Beyin BT", "HEAD", true},
    {"", "CT HEAD W/O", "kopf", true}, // any name asks
    // what leaves it to the description
    {"UNKNOWN", "CT head", "HEAD", true},
    {"OTHER", "CT head", "HEAD", true},
    {"SCAN1", "CT head", "HEAD", true},
    {"WHOLEBODY", "CT head", "HEAD", true},
    {"WHOLEBODY", "PET-CT", "HEAD", false},
    {"UNKNOWN", "CT", "HEAD", false},
    {"", "", "HEAD", false},
    {"HEAD", "", "BRAIN", false}, // larger: the description must say it
    {"HEAD", "MR brain", "BRAIN", true},
    {"EXTREMITY", "Knie links", "KNEE", true},
    {"EXTREMITY", "Knie links", "ANKLE", false},
    {"SPINE", "HWS", "CSPINE", true},
    // several
    {"HEADNECK", "", "HEAD", true},
    {"HEADNECK", "", "NECK", true},
    {"HEAD AND NECK", "", "HEAD", true},
    {"CHESTABDPELVIS", "", "ABDOMEN", true},
    {"CHEST/ABDOMEN", "", "ABDOMEN", true},
    // what contradicts
    {"HIP", "femoral head", "HEAD", false},
    {"HIP", "CT head", "HEAD", false},
    {"ABDOMEN", "pancreas head", "HEAD", false},
    {"CHEST", "ahead of schedule", "HEAD", false},
    {"CHEST", "head", "HEAD", false},
    {"NECK", "CT head", "HEAD", false},
    {"KNEE", "brain", "HEAD", false},
    // heads of something else
    {"", "femoral head", "HEAD", false},
    {"", "Femoral_Head_left", "HEAD", false},
    {"", "femoral heads", "HEAD", false},
    {"", "femur head", "HEAD", false},
    {"", "head of femur", "HEAD", false},
    {"", "head of the left femur", "HEAD", false},
    {"", "humeral head", "HEAD", false},
    {"", "radial head", "HEAD", false},
    {"", "head of 5th metatarsal", "HEAD", false},
    {"", "pancreas head", "HEAD", false},
    {"", "pancreatic head mass", "HEAD", false},
    {"", "head of pancreas", "HEAD", false},
    {"", "head of the pancreas", "HEAD", false},
    {"", "Hüftkopf", "HEAD", false},
    {"", "Femur-Kopf", "HEAD", false},
    {"", "Pankreaskopf", "HEAD", false},
    {"", "tête fémorale", "HEAD", false},
    {"", "TETE DU FEMUR", "HEAD", false},
    {"", "tête de l'humérus", "HEAD", false},
    {"", "cabeza femoral", "HEAD", false},
    {"", "cabeza del fémur derecho", "HEAD", false},
    {"", "cabeça do pâncreas", "HEAD", false},
    {"", "testa del femore", "HEAD", false},
    {"", "głowa kości udowej", "HEAD", false},
    {"", "股骨头坏死", "HEAD", false},
    {"", "大腿骨頭", "HEAD", false},
    {"", "膵頭部癌", "HEAD", false},
    {"", "胰头", "HEAD", false},
    {"", "대퇴골두", "HEAD", false},
    {"", "head first supine", "HEAD", false},
    {"", "knee, head coil", "HEAD", false},
    {"", "PET skull base to mid thigh", "HEAD", false},
    {"", "L CC cranio-caudal", "HEAD", false},
    {"", "femoral head, CT head", "HEAD", true}, // the second one is one
    {"", "trauma: head, hip, femur", "HEAD", true},
    {"", "femoral|head", "HEAD", true}, // two texts
    {"", "femoral neck", "NECK", false},
    {"", "CT neck", "NECK", true},
    {"", "bladder neck", "NECK", false},
    // a part that no one knows
    {"", "Zirbeldrüse", "Zirbeldrüse", true},
    {"ZIRBELDRUESE", "", "Zirbeldrüse", true},
    {"", "CT head", "Zirbeldrüse", false},
    {"", "CT head", "", false},
};

static void parts_of_the_body_are_told_from_their_names(void **state)
{
    (void)state;
    struct model_words *words = open_words("");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (model_words_is_part(words, parts[i].examined, parts[i].description, parts[i].asked) != parts[i].is)
            fail_msg("examined '%s', '%s' is%s taken for %s", parts[i].examined, parts[i].description,
                     parts[i].is ? " not" : "", parts[i].asked);
    model_words_close(words);
}

static void a_site_adds_its_own_names(void **state)
{
    (void)state;
    struct model_words *words = open_words("HEAD = Neuro, Schockraum Kopf ; CHEST = Thx;ZIRBEL=Epiphyse, ZD ; ");
    assert_true(model_words_is_part(words, "", "neuro nativ", "HEAD"));
    assert_true(model_words_is_part(words, "NEURO", "", "HEAD"));
    assert_true(model_words_is_part(words, "", "CT Schockraum Kopf", "HEAD"));
    assert_true(model_words_is_part(words, "THX", "", "CHEST"));
    assert_false(model_words_is_part(words, "THX", "CT head", "HEAD"));
    assert_true(model_words_is_part(words, "", "MR Epiphyse", "Zirbel"));
    assert_false(model_words_is_part(words, "ZD", "CT head", "HEAD"));
    assert_true(model_words_is_part(words, "", "CCT nativ", "HEAD"));
    model_words_close(words);
    words = open_words("Kopf = Neuro"); // by any name of the part
    assert_true(model_words_is_part(words, "", "neuro", "HEAD"));
    model_words_close(words);
}

static void synonyms_that_say_nothing_are_refused_by_name(void **state)
{
    static const char *const wrong[][2] = {
        {"HEAD", "HEAD"},
        {"HEAD =", "HEAD ="},
        {"= CCT", "= CCT"},
        {"HEAD = CCT,,X", "CCT,,X"},
        {"HEAD = CCT; CHEST", "CHEST"},
        {"HEAD = ---", "---"},
        {"CAP = x", "CAP"}, // three parts
        {"HEAD = 12345678901234567890123456789012345678901234567890123456789012345", "64 bytes"},
    };
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_null(model_words_open(wrong[i][0], &err));
        assert_int_equal(err.code, ERROR_BAD_VALUE);
        if (!strstr(err.message, wrong[i][1]))
            fail_msg("'%s': %s", wrong[i][0], err.message);
    }
    char *many = malloc(MODEL_SYNONYMS_MAX + 2);
    memset(many, 'x', MODEL_SYNONYMS_MAX + 1);
    many[MODEL_SYNONYMS_MAX + 1] = '\0';
    assert_null(model_words_open(many, &err));
    snprintf(many, MODEL_SYNONYMS_MAX, "HEAD = x");
    for (int i = 0; i < MODEL_SITE_NAMES_MAX; i++)
        memcpy(many + strlen(many), ", x", 4);
    assert_null(model_words_open(many, &err));
    assert_non_null(strstr(err.message, "512"));
    free(many);
}

// Whatever stands around a word, it is said when it stands apart and not when it stands inside another one; and
// capitals make no difference.
static void words_are_found_wherever_they_stand(void **state)
{
    static const char *const fillers[] = {"ct", "nativ", "1.5", "mm",  "axial", "recon",
                                          "3",  "jahre", "für", "без", "(x)"};
    static const char apart[] = " _-/,;.()[]^&";
    (void)state;
    struct model_words *words = open_words("");
    srandom(7);
    for (int round = 0; round < 2000; round++) {
        char text[256] = "", inside[256], upper[256];
        int count = (int)(random() % 6), place = (int)(random() % (count + 1));
        for (int i = 0; i <= count; i++) {
            size_t at = strlen(text);
            const char *word = i == place ? "brain" : fillers[random() % (long)(sizeof fillers / sizeof *fillers)];
            snprintf(text + at, sizeof text - at, "%s%c", word, apart[random() % (long)(sizeof apart - 1)]);
        }
        snprintf(inside, sizeof inside, "%s", text);
        char *found = strstr(inside, "brain");
        memmove(found + 1, found, strlen(found) + 1);
        *found = 'x';
        for (size_t i = 0; i <= strlen(text); i++)
            upper[i] = (char)toupper((unsigned char)text[i]);
        if (!model_words_says(words, text, "brain") || model_words_says(words, inside, "brain") ||
            !model_words_is_part(words, "", text, "HEAD") || model_words_is_part(words, "", inside, "HEAD") ||
            !model_words_says(words, upper, "Brain"))
            fail_msg("'%s' or '%s'", text, inside);
    }
    model_words_close(words);
}

int test_words(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_whole_words),
        cmocka_unit_test(case_and_accents_fold_in_latin_greek_and_cyrillic),
        cmocka_unit_test(scripts_without_spaces_are_found_inside),
        cmocka_unit_test(parts_of_the_body_are_told_from_their_names),
        cmocka_unit_test(a_site_adds_its_own_names),
        cmocka_unit_test(synonyms_that_say_nothing_are_refused_by_name),
        cmocka_unit_test(words_are_found_wherever_they_stand),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
