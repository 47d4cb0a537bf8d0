// What the two tables of the room share: columns read in their order into an arena, texts that are asked for.
#ifndef FINDING_ROW_H
#define FINDING_ROW_H

#include "finding/finding.h"

// The next column's text in the arena; *ok is cleared when there is no memory.
const char *row_text(struct sql *sql, int *column, struct arena *arena, bool *ok);
struct finding_code row_code(struct sql *sql, int *column, struct arena *arena, bool *ok);

// Runs the bound statement to its end and reads its rows into a growing list of structs of `size` bytes. LIMIT: the
// arena is full.
typedef bool row_reader(struct sql *sql, struct arena *arena, void *row);
bool row_list(struct sql *sql, row_reader *read, size_t size, struct arena *arena, void **out, size_t *count,
              struct error *err);

// UTF-8 of at most `most` bytes. LIMIT, BAD_VALUE.
bool row_check_text(const char *what, const char *text, size_t most, struct error *err);
bool row_is_given(const char *text); // not NULL and not ""

// ---- finding_sql.c, for the results that the findings belong to

// Once: an id that is there changes nothing. USAGE: it is not of this result.
bool finding_row_add(struct database *db, const struct finding *finding, const struct finding_result *result,
                     struct error *err);
bool finding_without_result(struct database *db, struct arena *arena, struct finding **out,
                            struct error *err); // the oldest one; NULL: there is none
bool finding_row_supersede(struct database *db, const char *result, struct error *err);

// ---- result_sql.c

extern const char result_table[], result_tally[]; // steps of the migration

#endif
