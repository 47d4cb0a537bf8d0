// Dates, times and zones as text.
#include "dicom/date.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

enum { FRACTION_MAX = 6, ZONE_WEST = -12 * 60, ZONE_EAST = 14 * 60 };

static bool number(const char *text, size_t size, int64_t *out)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return text_to_i64(text, size, out);
}

bool dicom_date(char out[DICOM_DATE_SIZE], const char *text)
{
    int64_t year, month, day;
    size_t size = text ? strlen(text) : 0;
    *out = '\0';
    text_trim(&text, &size);
    bool has_points = size == 10 && text[4] == '.' && text[7] == '.';
    if ((size != 8 && !has_points) || !number(text, 4, &year) || !number(text + 4 + has_points, 2, &month) ||
        !number(text + size - 2, 2, &day) || !clock_is_day(year, month, day))
        return false;
    memcpy(out, text, 4);
    memcpy(out + 4, text + 4 + has_points, 2);
    memcpy(out + 6, text + size - 2, 2);
    out[8] = '\0';
    return true;
}

// Hours, minutes and seconds up to the first that is not there, with colons between them or without. How much of the
// text they are, 0 when it is no time.
static size_t take_parts(char out[DICOM_TIME_SIZE], const char *text, size_t size)
{
    static const int64_t most[] = {23, 59, 60};
    const bool has_colons = size > 2 && text[2] == ':';
    size_t at = 0;
    int64_t value;
    for (size_t i = 0; i < sizeof most / sizeof *most && at < size && text[at] != '.'; i++) {
        if (i > 0 && has_colons && text[at++] != ':')
            return 0;
        if (size - at < 2 || !number(text + at, 2, &value) || value > most[i])
            return 0;
        memcpy(out + 2 * i, text + at, 2);
        out[2 * i + 2] = '\0';
        at += 2;
    }
    return at;
}

bool dicom_time(char out[DICOM_TIME_SIZE], const char *text)
{
    size_t size = text ? strlen(text) : 0, digits = 0;
    *out = '\0';
    text_trim(&text, &size);
    size_t at = take_parts(out, text, size);
    bool has_fraction = at > 0 && at < size && strlen(out) == 6 && text[at] == '.';
    if (has_fraction)
        digits = strspn(text + at + 1, "0123456789");
    bool ok = at > 0 && at + has_fraction + digits == size;
    if (ok && digits > 0)
        text_copy_n(out + 6, DICOM_TIME_SIZE - 6, text + at, 1 + (digits < FRACTION_MAX ? digits : FRACTION_MAX));
    if (!ok)
        *out = '\0';
    return ok;
}

bool dicom_zone(const char *text, int *out)
{
    int64_t hours, minutes;
    size_t size = text ? strlen(text) : 0;
    text_trim(&text, &size);
    if (size != 5 || (*text != '+' && *text != '-') || !number(text + 1, 2, &hours) || !number(text + 3, 2, &minutes) ||
        minutes > 59)
        return false;
    int zone = (int)(hours * 60 + minutes) * (*text == '-' ? -1 : 1);
    if (zone < ZONE_WEST || zone > ZONE_EAST)
        return false;
    *out = zone;
    return true;
}
