// Inside the reading room: the rows of the list.
#ifndef READING_ROWS_H
#define READING_ROWS_H

#include "reading/reading.h"

// What has to be seen before a study is read, by kind; the row keeps the number in the log of the last one of each.
enum reading_news { READING_IMAGE, READING_RESULT, READING_DOUBT, READING_NEWS_COUNT };

// Up to READING_LIST_MAX open ones that `scope` sees into `items`, or that of `study` where it is not NULL: the most
// urgent and those that came first come first out of the rows, so that a list past its limit loses none of those.
bool reading_rows(struct database *db, struct access_scope scope, const char *study, struct arena *arena,
                  struct reading_item *items, size_t *count, struct error *err);
// How many are open, of which something can be shown; and both numbers of the tally without that look.
bool reading_rows_open(struct database *db, struct access_scope scope, int64_t *count, struct error *err);
bool reading_rows_tally(struct database *db, struct reading_tally *out, struct error *err);
// An image came: the study is on the list, again if it was read before. *changed: it was not. `imported`: nobody has
// sent it; a study of which an image was sent waits whatever is imported later, and one that was imported waits from
// the first image that is sent.
bool reading_row_arrived(struct database *db, const struct store_event *event, bool imported, bool *changed,
                         struct error *err);
// What happened to the event's study could not be followed: it is on the list with that sentence until it is read.
bool reading_row_passed_over(struct database *db, const struct store_event *event, const char *said, struct error *err);
// `reason` "": nothing that is present has one. Why something was taken back stays until the study is read.
bool reading_row_found(struct database *db, const char *study, enum finding_urgency urgency, const char *reason,
                       int64_t findings, struct error *err);
// Something came to the event's study: if it was read it comes back.
bool reading_row_back(struct database *db, const struct store_event *event, enum reading_news news, struct error *err);
// Whether an object of the study waits for a decision that matters to who reads it.
bool reading_row_is_doubted(struct database *db, const char *study, bool *out, struct error *err);
// A study of which an image is held back is on the list, although none of it may be served.
bool reading_row_held_back(struct database *db, const struct store_event *event, struct error *err);
// The last of each kind of news of a study on the list and the item's reason; *found false: it is not on the list.
bool reading_row_news(struct database *db, const char *study, int64_t events[READING_NEWS_COUNT], char *reason,
                      size_t capacity, bool *found, struct error *err);
// *found false: it never was on the list.
bool reading_row_mark(struct database *db, const char *study, struct reading_mark *out, bool *found, struct error *err);
bool reading_row_unread(struct database *db, const char *study, const char *reason, struct error *err);
bool reading_row_read(struct database *db, const char *study, const char *by, int64_t now_ns, struct error *err);
// How many on the list arrived after a time; and that they have arrived by then.
bool reading_rows_after(struct database *db, int64_t time_ns, int64_t *count, struct error *err);
bool reading_rows_by(struct database *db, int64_t time_ns, struct error *err);

#endif
