#include "dicom/dicom.h"

#include <stdio.h>
#include <string.h>

#include "dicom/dictionary.h"

// One row per VR of PS3.5 table 6.2-1.
struct vr_facts {
    enum dicom_vr vr;
    uint8_t unit; // bytes of one binary value; 1 for text
    bool text;
    bool charset;
    bool long_length;
};

static const struct vr_facts vr_table[] = {
    {DICOM_VR_AE, 1, true, false, false}, {DICOM_VR_AS, 1, true, false, false},  {DICOM_VR_AT, 4, false, false, false},
    {DICOM_VR_CS, 1, true, false, false}, {DICOM_VR_DA, 1, true, false, false},  {DICOM_VR_DS, 1, true, false, false},
    {DICOM_VR_DT, 1, true, false, false}, {DICOM_VR_FD, 8, false, false, false}, {DICOM_VR_FL, 4, false, false, false},
    {DICOM_VR_IS, 1, true, false, false}, {DICOM_VR_LO, 1, true, true, false},   {DICOM_VR_LT, 1, true, true, false},
    {DICOM_VR_OB, 1, false, false, true}, {DICOM_VR_OD, 8, false, false, true},  {DICOM_VR_OF, 4, false, false, true},
    {DICOM_VR_OL, 4, false, false, true}, {DICOM_VR_OV, 8, false, false, true},  {DICOM_VR_OW, 2, false, false, true},
    {DICOM_VR_PN, 1, true, true, false},  {DICOM_VR_SH, 1, true, true, false},   {DICOM_VR_SL, 4, false, false, false},
    {DICOM_VR_SQ, 1, false, false, true}, {DICOM_VR_SS, 2, false, false, false}, {DICOM_VR_ST, 1, true, true, false},
    {DICOM_VR_SV, 8, false, false, true}, {DICOM_VR_TM, 1, true, false, false},  {DICOM_VR_UC, 1, true, true, true},
    {DICOM_VR_UI, 1, true, false, false}, {DICOM_VR_UL, 4, false, false, false}, {DICOM_VR_UN, 1, false, false, true},
    {DICOM_VR_UR, 1, true, false, true},  {DICOM_VR_US, 2, false, false, false}, {DICOM_VR_UT, 1, true, true, true},
    {DICOM_VR_UV, 8, false, false, true},
};

static const struct vr_facts *vr_find(enum dicom_vr vr)
{
    size_t low = 0, high = sizeof vr_table / sizeof *vr_table;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (vr_table[middle].vr == vr)
            return &vr_table[middle];
        if (vr_table[middle].vr < vr)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool dicom_vr_known(enum dicom_vr vr)
{
    return vr_find(vr) != NULL;
}

bool dicom_vr_is_text(enum dicom_vr vr)
{
    const struct vr_facts *facts = vr_find(vr);
    return facts && facts->text;
}

bool dicom_vr_has_charset(enum dicom_vr vr)
{
    const struct vr_facts *facts = vr_find(vr);
    return facts && facts->charset;
}

bool dicom_vr_has_long_length(enum dicom_vr vr)
{
    const struct vr_facts *facts = vr_find(vr);
    return facts && facts->long_length;
}

size_t dicom_vr_unit(enum dicom_vr vr)
{
    const struct vr_facts *facts = vr_find(vr);
    return facts ? facts->unit : 1;
}

void dicom_vr_text(enum dicom_vr vr, char out[3])
{
    out[0] = (char)(vr >> 8 & 0xFF);
    out[1] = (char)(vr & 0xFF);
    out[2] = 0;
}

// Attributes whose tags stand for many (PS3.5 section 7.6 and the retired ranges of PS3.6): a tag that has `bits` under
// `mask` is described by the row with `row` in place of the free bits.
static const struct {
    dicom_tag mask;
    dicom_tag bits;
    dicom_tag free;
    dicom_tag row;
} repeating[] = {
    {0xFF010000, 0x50000000, 0x00FE0000, 0},    {0xFF010000, 0x60000000, 0x00FE0000, 0},
    {0xFF010000, 0x7F000000, 0x00FE0000, 0},    {0xFFFFFF00, 0x00203100, 0x000000FF, 0},
    {0xFFFFFF00, 0x00280400, 0x000000F0, 0x10}, {0xFFFFFF00, 0x00280800, 0x000000F0, 0x10},
    {0xFFFF0000, 0x10000000, 0x0000FFF0, 0},    {0xFFFF0000, 0x10100000, 0x0000FFFF, 0},
};

static const struct dicom_attribute group_length = {0, "GroupLength", DICOM_VR_UL, false, false, true};
static const struct dicom_attribute private_creator = {0, "PrivateCreator", DICOM_VR_LO, false, false, false};

static const struct dicom_attribute *attribute_row(dicom_tag tag)
{
    size_t low = 0, high = dictionary_attribute_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (dictionary_attributes[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < dictionary_attribute_count && dictionary_attributes[low].tag == tag)
        return &dictionary_attributes[low];
    return NULL;
}

const struct dicom_attribute *dicom_attribute(dicom_tag tag)
{
    uint16_t element = dicom_tag_element(tag);
    if (dicom_tag_is_private(tag)) {
        if (element == 0)
            return &group_length;
        return element >= 0x10 && element <= 0xFF ? &private_creator : NULL;
    }
    const struct dicom_attribute *row = attribute_row(tag);
    if (row)
        return row;
    if (element == 0)
        return &group_length;
    for (size_t i = 0; i < sizeof repeating / sizeof *repeating; i++)
        if ((tag & repeating[i].mask) == repeating[i].bits)
            return attribute_row((tag & ~repeating[i].free) | repeating[i].row);
    return NULL;
}

const struct dicom_attribute *dicom_attribute_by_keyword(const char *keyword)
{
    size_t low = 0, high = dictionary_attribute_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct dicom_attribute *row = &dictionary_attributes[dictionary_by_keyword[middle]];
        int order = strcmp(row->keyword, keyword);
        if (order == 0)
            return row;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool tag_from_hex(const char *text, dicom_tag *out)
{
    dicom_tag tag = 0;
    int digits = 0;
    for (const char *p = text; *p; p++) {
        if (*p == ',' && digits == 4 && p == text + 4)
            continue;
        int digit = hex_digit(*p);
        if (digit < 0 || ++digits > 8)
            return false;
        tag = tag << 4 | (dicom_tag)digit;
    }
    if (digits != 8)
        return false;
    *out = tag;
    return true;
}

bool dicom_tag_parse(const char *text, dicom_tag *out)
{
    if (tag_from_hex(text, out))
        return true;
    const struct dicom_attribute *row = dicom_attribute_by_keyword(text);
    if (!row)
        return false;
    *out = row->tag;
    return true;
}

const char *dicom_tag_text(char out[DICOM_TAG_TEXT_SIZE], dicom_tag tag)
{
    snprintf(out, DICOM_TAG_TEXT_SIZE, "(%04X,%04X)", dicom_tag_group(tag), dicom_tag_element(tag));
    return out;
}

const struct dicom_sop_class *dicom_sop_classes(void)
{
    return dictionary_sop_classes;
}

const struct dicom_sop_class *dicom_sop_class(const char *uid)
{
    for (const struct dicom_sop_class *row = dictionary_sop_classes; row->uid; row++)
        if (strcmp(row->uid, uid) == 0)
            return row;
    return NULL;
}

bool dicom_sop_class_is_storage(const char *uid)
{
    static const char standard[] = "1.2.840.10008.";
    static const char storage[] = "1.2.840.10008.5.1.4.1.1.";
    if (!dicom_uid_is_valid(uid, strlen(uid)))
        return false;
    if (strncmp(uid, standard, sizeof standard - 1) != 0 || strncmp(uid, storage, sizeof storage - 1) == 0)
        return true;
    return dicom_sop_class(uid) != NULL;
}

bool dicom_uid_is_valid(const char *uid, size_t size)
{
    if (size == 0 || size > DICOM_UID_MAX)
        return false;
    bool in_component = false;
    for (size_t i = 0; i < size; i++) {
        if (uid[i] == '.' && !in_component)
            return false;
        if (uid[i] != '.' && (uid[i] < '0' || uid[i] > '9'))
            return false;
        in_component = uid[i] != '.';
    }
    return in_component;
}

// Divides the big-endian number in `number` by ten; the remainder is returned.
static unsigned divide_by_ten(uint8_t number[16])
{
    unsigned rest = 0;
    for (size_t i = 0; i < 16; i++) {
        unsigned value = rest << 8 | number[i];
        number[i] = (uint8_t)(value / 10);
        rest = value % 10;
    }
    return rest;
}

void dicom_uid_from_digest(char out[DICOM_UID_SIZE], const uint8_t digest[16])
{
    uint8_t number[16];
    memcpy(number, digest, sizeof number);
    number[6] = (uint8_t)((number[6] & 0x0F) | 0x80); // version 8
    number[8] = (uint8_t)((number[8] & 0x3F) | 0x80); // variant of RFC 9562
    char digits[40];                                  // 2^128 has 39 digits
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    static const uint8_t zero[16];
    do
        digits[--at] = (char)('0' + divide_by_ten(number));
    while (memcmp(number, zero, sizeof number) != 0);
    snprintf(out, DICOM_UID_SIZE, "2.25.%s", digits + at);
}
