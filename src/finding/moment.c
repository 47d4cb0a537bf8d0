// The study's moment in its zone, and the forms of it.
#include "finding/moment.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/text.h"
#include "finding/finding.h"
#include "finding/object.h"

enum { WORDS_MAX = 4 << 10 };

void moment_of(const char *date, const char *time, const char *zone, int64_t otherwise_ns, struct moment *out)
{
    bool has_date = dicom_date(out->date, date);
    dicom_time(out->time, time);
    if (!dicom_zone(zone, &out->zone))
        out->zone = has_date ? clock_zone_of_local(out->date, out->time) : clock_zone(otherwise_ns);
}

// Hours alone are no time that a receiver takes; a leap second has passed.
static size_t whole_of(const struct moment *moment, char out[DICOM_TIME_SIZE])
{
    size_t size = strcspn(moment->time, ".");
    text_copy(out, DICOM_TIME_SIZE, moment->time);
    if (size == 6 && memcmp(out + 4, "60", 2) == 0)
        memcpy(out + 4, "59", 2);
    return size < 4 ? 0 : size;
}

const char *moment_hl7(char out[MOMENT_TEXT_SIZE], const struct moment *moment)
{
    enum { HL7_TIME_MAX = 11 }; // four digits behind the point
    char time[DICOM_TIME_SIZE], zone[CLOCK_ZONE_SIZE];
    if (*moment->date && whole_of(moment, time) > 0)
        snprintf(out, MOMENT_TEXT_SIZE, "%s%.*s%s", moment->date, HL7_TIME_MAX, time,
                 clock_zone_text(zone, moment->zone));
    else
        text_copy(out, MOMENT_TEXT_SIZE, moment->date);
    return out;
}

const char *moment_fhir(char out[MOMENT_TEXT_SIZE], const struct moment *moment)
{
    char time[DICOM_TIME_SIZE], zone[CLOCK_ZONE_SIZE];
    const char *date = moment->date;
    size_t size = *date ? whole_of(moment, time) : 0;
    *out = '\0';
    if (*date)
        snprintf(out, MOMENT_TEXT_SIZE, "%.4s-%.2s-%.2s", date, date + 4, date + 6);
    if (size == 0)
        return out;
    clock_zone_text(zone, moment->zone);
    snprintf(out + 10, MOMENT_TEXT_SIZE - 10, "T%.2s:%.2s:%.2s%.3s:%s", time, time + 2, size == 6 ? time + 4 : "00",
             zone, zone + 3);
    return out;
}

const char *moment_sex(const char *sex)
{
    static const char *const sexes[] = {"M", "F", "O"};
    for (size_t i = 0; sex && i < sizeof sexes / sizeof *sexes; i++)
        if (strcmp(sex, sexes[i]) == 0)
            return sexes[i];
    return "";
}

// ---- what is none, in words

static bool is_zone(const char *text)
{
    int zone;
    return dicom_zone(text, &zone);
}

static void put_none(struct buffer *words, const char *what, const char *value, bool is_one)
{
    char shown[64];
    if (!is_one && value && *value)
        buffer_printf(words, "%s%s \"%s\"", words->size > 0 ? ", " : "", what,
                      text_show(shown, sizeof shown, value, strlen(value)));
}

char *finding_left_out(const struct finding_study *study, struct arena *arena)
{
    char date[DICOM_DATE_SIZE], time[DICOM_TIME_SIZE];
    struct buffer words;
    buffer_init(&words, WORDS_MAX);
    put_none(&words, "birth date", study->birth_date, dicom_date(date, study->birth_date));
    put_none(&words, "sex", study->sex, *moment_sex(study->sex));
    put_none(&words, "study date", study->study_date, dicom_date(date, study->study_date));
    put_none(&words, "study time", study->study_time, dicom_time(time, study->study_time));
    put_none(&words, "time zone", study->zone, is_zone(study->zone));
    char *copy = words.failed ? NULL : arena_strndup(arena, words.size ? (const char *)words.data : "", words.size);
    buffer_free(&words);
    return copy;
}
