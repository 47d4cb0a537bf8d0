#include "place.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/audit_walk.h"
#include "base/file.h"
#include "base/text.h"
#include "support/store.h"

static void open_all(struct place *place)
{
    static const struct store_migration *const rooms[] = {&access_migration, NULL};
    place->store = open_store(place->folder, rooms, &place->err);
    assert_ok(place->store != NULL, place->err);
    place->access = access_open(place->store, place->audit, NULL, &place->err);
    assert_ok(place->access != NULL, place->err);
}

void place_open(struct place *place)
{
    *place = (struct place){0};
    folder_make(place->folder, sizeof place->folder);
    snprintf(place->audit, sizeof place->audit, "%s/audit", place->folder);
    open_all(place);
}

void place_reopen(struct place *place)
{
    access_close(place->access);
    store_close(place->store);
    open_all(place);
}

void place_close(struct place *place)
{
    access_close(place->access);
    store_close(place->store);
    folder_delete(place->folder);
}

void place_limit_files(rlim_t size)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

char *place_trail(const char *folder)
{
    struct buffer text;
    struct error err;
    uint64_t last;
    char path[ACCESS_PATH_SIZE];
    buffer_init(&text, 256 << 20);
    assert_ok(access_segment_last(folder, &last, &err), err);
    for (uint64_t segment = 1; segment <= last; segment++) {
        assert_ok(access_segment_path(path, folder, segment, &err), err);
        if (access(path, F_OK) == 0)
            assert_ok(file_read(path, &text, &err), err);
    }
    buffer_byte(&text, 0);
    assert_false(text.failed);
    return (char *)text.data;
}

// Line by line: under a sanitizer each call of strstr or memmem reads the whole of what it is given.
static const char *find(const char *text, const char *end, const char *part)
{
    const char *found = NULL;
    while (!found && text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        line_end = line_end ? line_end : end;
        found = memmem(text, (size_t)(line_end - text), part, strlen(part));
        text = line_end + 1;
    }
    return found;
}

size_t place_count(const char *text, const char *part)
{
    size_t count = 0;
    const char *end = text + strlen(text);
    while ((text = find(text, end, part))) {
        count++;
        text += strlen(part);
    }
    return count;
}

uint64_t place_sum_counts(const char *text)
{
    static const char mark[] = "[sum@32473 count=\"";
    uint64_t sum = 0, count;
    const char *end = text + strlen(text);
    while ((text = find(text, end, mark))) {
        text += strlen(mark);
        assert_true(text_to_u64(text, strspn(text, "0123456789"), &count));
        sum += count;
    }
    return sum;
}
