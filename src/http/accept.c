// The Accept header (RFC 9110, 12.5.1): the most specific range that covers a type gives its quality.
#include "http/internal.h"

#include <string.h>
#include <strings.h>

struct wanted {
    const char *type;
    bool any_header;
    int specificity; // of the best range so far: 0 none, 1 "*/*", 2 "type/*", 3 exact
    int quality;
};

// The next of `separator` or the end, quoted strings skipped.
static const char *piece_end(const char *text, char separator)
{
    bool quoted = false;
    for (; *text && (quoted || *text != separator); text++) {
        if (quoted && *text == '\\' && text[1])
            text++;
        else if (*text == '"')
            quoted = !quoted;
    }
    return text;
}

static const char *skip_space(const char *text, const char *end)
{
    while (text < end && (*text == ' ' || *text == '\t'))
        text++;
    return text;
}

// "0.5" in thousandths; what is no quality counts as 1.
static int parse_quality(const char *text, const char *end)
{
    if (text == end || *text != '0')
        return 1000;
    int quality = 0;
    int unit = 100;
    if (++text < end && *text == '.')
        for (text++; text < end && *text >= '0' && *text <= '9'; text++, unit /= 10)
            quality += (*text - '0') * unit;
    return quality;
}

static int range_quality(const char *parameters, const char *end)
{
    while (parameters < end) {
        const char *parameter = skip_space(parameters + 1, end); // behind the ';'
        const char *parameter_end = piece_end(parameter, ';');
        if (parameter_end > end)
            parameter_end = end;
        if (parameter_end - parameter >= 2 && (*parameter == 'q' || *parameter == 'Q') && parameter[1] == '=')
            return parse_quality(parameter + 2, parameter_end);
        parameters = parameter_end;
    }
    return 1000;
}

static int range_specificity(const char *range, size_t size, const char *type)
{
    size_t main_size = strcspn(type, "/") + 1;
    if (size == strlen(type) && strncasecmp(range, type, size) == 0)
        return 3;
    if (size == main_size + 1 && range[size - 1] == '*' && strncasecmp(range, type, main_size) == 0)
        return 2;
    return size == 3 && memcmp(range, "*/*", 3) == 0 ? 1 : 0;
}

static void look_at_range(struct wanted *wanted, const char *range, const char *end)
{
    range = skip_space(range, end);
    const char *type_end = range;
    while (type_end < end && *type_end != ';' && *type_end != ' ' && *type_end != '\t')
        type_end++;
    int specificity = range_specificity(range, (size_t)(type_end - range), wanted->type);
    if (specificity == 0 || specificity < wanted->specificity)
        return;
    int quality = range_quality(skip_space(type_end, end), end);
    if (specificity > wanted->specificity || quality > wanted->quality)
        wanted->quality = quality;
    wanted->specificity = specificity;
}

static enum MHD_Result look_at_header(void *payload, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct wanted *wanted = payload;
    if (strcasecmp(name, "Accept") != 0 || !value)
        return MHD_YES;
    wanted->any_header = true;
    for (const char *range = value; *range;) {
        const char *end = piece_end(range, ',');
        look_at_range(wanted, range, end);
        range = *end ? end + 1 : end;
    }
    return MHD_YES;
}

int http_accepts(const struct http_request *request, const char *type)
{
    struct wanted wanted = {.type = type};
    MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, look_at_header, &wanted);
    return wanted.any_header ? wanted.quality : 1000;
}
