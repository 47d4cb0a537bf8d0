// The list of who has called.
#include "access/callers.h"

#include <string.h>

#include "access/access_internal.h"
#include "base/text.h"

static int64_t heard_ns(const struct access_caller *caller)
{
    return caller->admitted_ns > caller->refused_ns ? caller->admitted_ns : caller->refused_ns;
}

static bool is_of(const struct access_caller *caller, const char *called, const char *calling, const char *address)
{
    return strcmp(caller->called, called) == 0 && strcmp(caller->title, calling) == 0 &&
           strcmp(caller->address, address) == 0;
}

// With access->lock. His row, or a new one, for which the one heard of longest ago makes room.
static struct access_caller *find_row(struct access *access, const char *called, const char *calling,
                                      const char *address)
{
    struct access_caller *oldest = access->callers;
    for (size_t i = 0; i < access->caller_count; i++) {
        struct access_caller *row = &access->callers[i];
        if (is_of(row, called, calling, address))
            return row;
        if (heard_ns(row) < heard_ns(oldest))
            oldest = row;
    }
    struct access_caller *row =
        access->caller_count < ACCESS_CALLERS_MAX ? &access->callers[access->caller_count++] : oldest;
    *row = (struct access_caller){0};
    text_copy(row->title, sizeof row->title, calling);
    text_copy(row->called, sizeof row->called, called);
    text_copy(row->address, sizeof row->address, address);
    return row;
}

// The titles as a caller sends them, padded or too long, in the size that a row has.
static void trimmed(char out[ACCESS_TITLE_SIZE], const char *title)
{
    size_t size = strnlen(title, 4 * ACCESS_TITLE_SIZE);
    text_trim(&title, &size);
    text_show(out, ACCESS_TITLE_SIZE, title, size);
}

void access_note_call(struct access *access, const char *called, const char *calling,
                      const struct access_ticket *ticket, enum access_answer answer, int64_t now_ns)
{
    char to[ACCESS_TITLE_SIZE], from[ACCESS_TITLE_SIZE];
    trimmed(to, called);
    trimmed(from, calling);
    pthread_mutex_lock(&access->lock);
    struct access_caller *row = find_row(access, to, from, ticket->address);
    if (answer == ACCESS_ADMITTED) {
        row->admitted++;
        row->admitted_ns = now_ns;
        text_copy(row->peer, sizeof row->peer, ticket->peer.name);
    } else {
        row->refused++;
        row->refused_ns = now_ns;
        row->answer = answer;
        text_copy(row->why, sizeof row->why, ticket->why);
    }
    pthread_mutex_unlock(&access->lock);
}

static void sort(struct access_caller *callers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct access_caller moved = callers[i];
        size_t at = i;
        for (; at > 0 && heard_ns(&callers[at - 1]) < heard_ns(&moved); at--)
            callers[at] = callers[at - 1];
        callers[at] = moved;
    }
}

bool access_callers(struct access *access, struct arena *arena, struct access_caller **out, size_t *count,
                    struct error *err)
{
    *out = arena_calloc(arena, ACCESS_CALLERS_MAX, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_MEMORY, "no memory for the list of callers");
    pthread_mutex_lock(&access->lock);
    *count = access->caller_count;
    memcpy(*out, access->callers, *count * sizeof **out);
    pthread_mutex_unlock(&access->lock);
    sort(*out, *count);
    return true;
}
