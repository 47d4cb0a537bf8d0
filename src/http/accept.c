// The Accept header (RFC 9110, 12.5.1): the most specific range that covers a type gives its quality.
#include "http/internal.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

// Above what named parameters may add to the specificity of one kind of range.
enum { HTTP_PARAMETERS_MAX = 8 };

struct wanted {
    const char *type;
    const struct http_parameter *parameters;
    size_t parameter_count;
    bool any_header;
    int specificity; // of the best range so far: 0 none, then "*/*", "type/*", exact, each with more for parameters
                     // named
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

// "NAME=VALUE", the value with or without quotes.
struct parameter {
    const char *name, *value;
    size_t name_size, value_size;
};

static struct parameter parse_parameter(const char *text, const char *end)
{
    const char *equals = memchr(text, '=', (size_t)(end - text));
    const char *name_end = equals ? equals : end;
    struct parameter parameter = {text, equals ? equals + 1 : end, (size_t)(name_end - text), 0};
    while (end > parameter.value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (end - parameter.value >= 2 && parameter.value[0] == '"' && end[-1] == '"') {
        parameter.value++;
        end--;
    }
    parameter.value_size = (size_t)(end - parameter.value);
    return parameter;
}

static bool same(const char *text, size_t size, const char *other)
{
    return size == strlen(other) && strncasecmp(text, other, size) == 0;
}

// How well a range's parameter fits what is offered: 0 not at all, 1 any value would do, 2 this one is named.
static int parameter_fit(const struct wanted *wanted, const struct parameter *parameter)
{
    for (size_t i = 0; i < wanted->parameter_count; i++) {
        const struct http_parameter *offered = &wanted->parameters[i];
        if (!same(parameter->name, parameter->name_size, offered->name))
            continue;
        if (same(parameter->value, parameter->value_size, offered->value))
            return 2;
        return same(parameter->value, parameter->value_size, "*") ||
               same(parameter->value, parameter->value_size, "*/*");
    }
    return 1; // says nothing about what is offered
}

// Raises *specificity by what the range's parameters name; 0 when they rule the offer out. Returns its quality.
static int look_at_parameters(const struct wanted *wanted, const char *parameters, const char *end, int *specificity)
{
    while (parameters < end) {
        const char *text = skip_space(parameters + 1, end); // behind the ';'
        const char *text_end = piece_end(text, ';');
        if (text_end > end)
            text_end = end;
        struct parameter parameter = parse_parameter(text, text_end);
        if (same(parameter.name, parameter.name_size, "q"))
            return parse_quality(parameter.value, parameter.value + parameter.value_size);
        int fit = parameter_fit(wanted, &parameter);
        if (fit == 0)
            *specificity = 0;
        if (*specificity == 0)
            return 0;
        *specificity += fit - 1;
        parameters = text_end;
    }
    return 1000;
}

static int range_specificity(const char *range, size_t size, const char *type)
{
    size_t main_size = strcspn(type, "/") + 1;
    if (size == strlen(type) && strncasecmp(range, type, size) == 0)
        return 3 * HTTP_PARAMETERS_MAX;
    if (size == main_size + 1 && range[size - 1] == '*' && strncasecmp(range, type, main_size) == 0)
        return 2 * HTTP_PARAMETERS_MAX;
    return size == 3 && memcmp(range, "*/*", 3) == 0 ? HTTP_PARAMETERS_MAX : 0;
}

static void look_at_range(struct wanted *wanted, const char *range, const char *end)
{
    range = skip_space(range, end);
    const char *type_end = range;
    while (type_end < end && *type_end != ';' && *type_end != ' ' && *type_end != '\t')
        type_end++;
    int specificity = range_specificity(range, (size_t)(type_end - range), wanted->type);
    int quality = specificity > 0 ? look_at_parameters(wanted, skip_space(type_end, end), end, &specificity) : 0;
    if (specificity == 0 || specificity < wanted->specificity)
        return;
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

int http_accepts_with(const struct http_request *request, const char *type, const struct http_parameter *parameters,
                      size_t count)
{
    struct wanted wanted = {.type = type, .parameters = parameters, .parameter_count = count};
    assert(count < HTTP_PARAMETERS_MAX);
    MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, look_at_header, &wanted);
    return wanted.any_header ? wanted.quality : 1000;
}

int http_accepts(const struct http_request *request, const char *type)
{
    return http_accepts_with(request, type, NULL, 0);
}
