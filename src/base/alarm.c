#include "base/alarm.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

static const struct {
    const char *word;
    const char *text;
} rows[ALARM_KIND_COUNT] = {
#define X(name, word, text) {word, text},
    ALARM_KINDS(X)
#undef X
};

static const int64_t repeat_ns = 60 * CLOCK_SECOND; // between two log lines about one alarm

static struct {
    pthread_mutex_t lock;
    struct alarm alarms[ALARMS_MAX];
    int64_t logged_ns[ALARMS_MAX];
    size_t count;
    uint64_t unlisted;
    uint64_t raised[ALARM_KIND_COUNT];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *alarm_kind_word(enum alarm_kind kind)
{
    return rows[kind].word;
}

const char *alarm_kind_text(enum alarm_kind kind)
{
    return rows[kind].text;
}

// The index of the alarm, a new one when it does not stand yet; ALARMS_MAX when there is no room for it.
static size_t place_of(enum alarm_kind kind, const char *subject, int64_t now_ns)
{
    for (size_t i = 0; i < table.count; i++)
        if (table.alarms[i].kind == kind && strcmp(table.alarms[i].subject, subject) == 0)
            return i;
    if (table.count == ALARMS_MAX)
        return ALARMS_MAX;
    table.alarms[table.count] = (struct alarm){.kind = kind, .first_ns = now_ns};
    text_copy(table.alarms[table.count].subject, ALARM_SUBJECT_SIZE, subject);
    table.logged_ns[table.count] = INT64_MIN / 2;
    return table.count++;
}

// Whether the log is to tell of it.
static bool note(enum alarm_kind kind, const char *subject, const char *text)
{
    int64_t now_ns = clock_now_ns(), monotonic_ns = clock_monotonic_ns();
    table.raised[kind]++;
    size_t at = place_of(kind, subject, now_ns);
    if (at == ALARMS_MAX) {
        table.unlisted++;
        return true;
    }
    struct alarm *alarm = &table.alarms[at];
    text_copy(alarm->text, sizeof alarm->text, text);
    alarm->last_ns = now_ns;
    alarm->times++;
    if (monotonic_ns - table.logged_ns[at] < repeat_ns)
        return false;
    table.logged_ns[at] = monotonic_ns;
    return true;
}

void alarm_raise(enum alarm_kind kind, const char *subject, const char *format, ...)
{
    struct error text; // takes the message as errors do: cut at a character, without control characters
    char cut[ALARM_SUBJECT_SIZE], message[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error_set(&text, ERROR_NONE, "%s", message);
    text_copy(cut, sizeof cut, subject);
    pthread_mutex_lock(&table.lock);
    bool tell = note(kind, cut, text.message);
    pthread_mutex_unlock(&table.lock);
    if (tell)
        log_error("alarm", "%s, %s: %s", rows[kind].word, cut, text.message);
}

static void take_out(size_t at)
{
    table.count--;
    memmove(&table.alarms[at], &table.alarms[at + 1], (table.count - at) * sizeof table.alarms[0]);
    memmove(&table.logged_ns[at], &table.logged_ns[at + 1], (table.count - at) * sizeof table.logged_ns[0]);
}

void alarm_clear(enum alarm_kind kind, const char *subject)
{
    size_t cleared = 0;
    pthread_mutex_lock(&table.lock);
    for (size_t i = table.count; i-- > 0;)
        if (table.alarms[i].kind == kind && (!subject || strcmp(table.alarms[i].subject, subject) == 0)) {
            take_out(i);
            cleared++;
        }
    pthread_mutex_unlock(&table.lock);
    if (cleared > 0)
        log_info("alarm", "%s%s%s: over", rows[kind].word, subject ? ", " : "", subject ? subject : "");
}

size_t alarm_list(struct alarm out[ALARMS_MAX], uint64_t *unlisted)
{
    pthread_mutex_lock(&table.lock);
    size_t count = table.count;
    memcpy(out, table.alarms, count * sizeof *out);
    *unlisted = table.unlisted;
    pthread_mutex_unlock(&table.lock);
    return count;
}

uint64_t alarm_count(enum alarm_kind kind)
{
    pthread_mutex_lock(&table.lock);
    uint64_t count = table.raised[kind];
    pthread_mutex_unlock(&table.lock);
    return count;
}
