// Inside the reading room: the rows of the list.
#ifndef READING_ROWS_H
#define READING_ROWS_H

#include "reading/reading.h"

// Up to READING_LIST_MAX open ones into `items`: the most urgent and the longest waiting come first out of the rows, so
// that a list past its limit loses none of those.
bool reading_rows(struct database *db, struct arena *arena, struct reading_item *items, size_t *count,
                  struct error *err);
// An image came: the study is on the list, again if it was read before. *changed: it was not.
bool reading_row_arrived(struct database *db, const char *study, int64_t time_ns, bool *changed, struct error *err);
bool reading_row_found(struct database *db, const char *study, enum finding_urgency urgency, const char *reason,
                       int64_t findings, struct error *err);
// A study that was read before that time comes back.
bool reading_row_back(struct database *db, const char *study, int64_t time_ns, struct error *err);
// So does one in which an object waits for a decision that matters to who reads it.
bool reading_row_doubted(struct database *db, const char *study, int64_t time_ns, struct error *err);
// A study of which an image is held back is on the list, although none of it may be served.
bool reading_row_held_back(struct database *db, const char *study, int64_t time_ns, struct error *err);
// *found false: it is not on the list.
bool reading_row_read(struct database *db, const char *study, const char *by, int64_t now_ns, bool *found,
                      struct error *err);

#endif
