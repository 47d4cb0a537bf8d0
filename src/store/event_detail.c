// What an event's detail holds: written and read by the tables of event.h, so that both sides agree.
#include <jansson.h>
#include <stddef.h>
#include <string.h>

#include "base/buffer.h"
#include "store/internal.h"

enum member_type { TEXT, NUMBER };

static const struct member {
    const char *name;
    enum member_type type;
    size_t offset;
} members[] = {
#define X(member, name, type) {name, type, offsetof(struct store_event_detail, member)},
    STORE_EVENT_MEMBERS(X)
#undef X
};
enum { MEMBERS = sizeof members / sizeof *members };

// By kind: names, with blanks between them.
static const char *const members_of[STORE_EVENT_KIND_COUNT] = {
#define X(name, text, members) members,
    STORE_EVENTS(X)
#undef X
};

static const char **text_of(struct store_event_detail *detail, const struct member *member)
{
    return (const char **)(void *)((char *)detail + member->offset);
}

static int64_t *number_of(struct store_event_detail *detail, const struct member *member)
{
    return (int64_t *)(void *)((char *)detail + member->offset);
}

// ---- writing

static void write_member(struct buffer *out, const struct member *member, struct store_event_detail *detail)
{
    buffer_printf(out, "%s\"%s\":", out->size > 1 ? "," : "", member->name);
    if (member->type == NUMBER) {
        buffer_printf(out, "%lld", (long long)*number_of(detail, member));
        return;
    }
    const char *text = *text_of(detail, member) ? *text_of(detail, member) : "";
    buffer_json_string(out, text, strlen(text));
}

static const struct member *find_member(const char *name, size_t size)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (strlen(members[i].name) == size && memcmp(members[i].name, name, size) == 0)
            return &members[i];
    return NULL;
}

bool event_detail_write(enum store_event_kind kind, const struct store_event_detail *detail, char out[EVENT_DETAIL_MAX],
                        struct error *err)
{
    struct store_event_detail copy = {0};
    struct buffer text;
    const char *name = members_of[kind];
    if (detail)
        copy = *detail;
    buffer_init(&text, EVENT_DETAIL_MAX - 1);
    buffer_text(&text, "{");
    while (*name) {
        size_t size = strcspn(name, " ");
        write_member(&text, find_member(name, size), &copy);
        name += size + strspn(name + size, " ");
    }
    buffer_text(&text, "}");
    bool ok = buffer_check(&text, "an event's detail", err);
    if (ok) {
        memcpy(out, text.data, text.size);
        out[text.size] = '\0';
    }
    buffer_free(&text);
    return ok;
}

// ---- reading

static bool read_member(const json_t *json, const struct member *member, struct arena *arena,
                        struct store_event_detail *out)
{
    const json_t *value = json_object_get(json, member->name);
    if (member->type == NUMBER) {
        *number_of(out, member) = json_integer_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    *text_of(out, member) = text ? arena_strdup(arena, text) : "";
    return *text_of(out, member) != NULL;
}

bool store_event_detail(const struct store_event *event, struct arena *arena, struct store_event_detail *out,
                        struct error *err)
{
    bool ok = true;
    json_t *json = json_loads(event->detail, 0, NULL);
    for (size_t i = 0; i < MEMBERS; i++)
        ok = ok && read_member(json, &members[i], arena, out);
    json_decref(json);
    return ok ||
           error_set(err, ERROR_MEMORY, "no memory for the detail of event %llu", (unsigned long long)event->number);
}
