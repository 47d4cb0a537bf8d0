// Labels: which studies are not for everybody.
//
// A study has a set of labels, and whoever asks has one too (struct access_subject). Who lacks ONE of a study's labels
// does not see the study, and does not learn that it exists: it is absent from lists and counts, and what names it is
// answered as if it were not here. A study without labels is seen by all who may query at all.
//
// A label is a bit with a name, 62 at most. The labels of studies stand in a table of this room by Study Instance UID,
// so that every room above filters its own rows with the one condition ACCESS_SEES. Whoever answers to somebody has a
// scope, what that one lacks, as an argument; whoever works inside (flow, deliveries, a rebuild) says ACCESS_ALL.
//
// A study gets labels from the entry of the peer that sends it (struct access_peer), from a rule and from a person.
// What comes later takes none away: only a person does.
//
// Lists of names are texts with commas between where they are kept, JSON arrays where they are told.
//
// Threads: any.
#ifndef ACCESS_LABEL_H
#define ACCESS_LABEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/database.h"

struct access;

enum {
    ACCESS_LABELS_MAX = 62, // the database's integers are signed
    ACCESS_LABEL_SIZE = 33,
    ACCESS_LABEL_TEXT_SIZE = 257, // of its description
    ACCESS_LABELS_SIZE = 265,     // of a list of names: eight of the longest
};
#define ACCESS_LABELS_ALL ((UINT64_C(1) << ACCESS_LABELS_MAX) - 1)

// What somebody does not see.
struct access_scope {
    uint64_t hidden; // bits of the labels that he lacks
};
#define ACCESS_ALL ((struct access_scope){0})

struct access_label {
    char name[ACCESS_LABEL_SIZE]; // letters, digits and ._- behind a letter or digit; the key
    char description[ACCESS_LABEL_TEXT_SIZE];
    int64_t version; // raised by each change
    unsigned bit;
};

// Adds, or changes the description of the one with that name. label->version 0 replaces whatever is there, another one
// only that version (CONFLICT). What is so already is left alone. Durable, audited as `actor`, an event CONFIG_CHANGED.
// LIMIT past ACCESS_LABELS_MAX.
bool access_label_put(struct access *access, const struct access_label *label, const char *actor, struct error *err);
// CONFLICT while a study, a peer, or an account has it: *err says which, where `scope` (of who removes) sees the study.
// Else its bit would be another's one day.
bool access_label_remove(struct access *access, struct access_scope scope, const char *name, const char *actor,
                         struct error *err);
bool access_label_get(struct access *access, const char *name, struct access_label *out, struct error *err);
// All, by name, in `arena`.
bool access_label_list(struct access *access, struct arena *arena, struct access_label **out, size_t *count,
                       struct error *err);
json_t *access_label_to_json(const struct access_label *label); // {"name", "description", "version"}; the caller's
bool access_label_from_json(const json_t *json, struct access_label *out, struct error *err); // unknown keys refused

// A JSON array of names as bits; BAD_VALUE names what is no label. And back, the caller's: NULL when they cannot be
// read.
bool access_labels_read(struct access *access, const json_t *names, uint64_t *out, struct error *err);
json_t *access_labels_to_json(struct access *access, uint64_t labels);

// A JSON array of names as a list of them, sorted, each once, and back (the caller's). Whether there are such labels is
// not asked. `what` is for the refusal: "peer: labels".
bool access_names_read(const json_t *names, const char *what, char out[ACCESS_LABELS_SIZE], struct error *err);
json_t *access_names_to_json(const char *names);

// Sets of labels that studies have and no account has together that may log in and look at studies: these studies are
// on nobody's list. In `arena`, at most ACCESS_UNSEEN_MAX.
enum { ACCESS_UNSEEN_MAX = 64 };
struct access_unseen {
    uint64_t labels;
    int64_t studies;
};
bool access_labels_unseen(struct access *access, struct arena *arena, struct access_unseen **out, size_t *count,
                          struct error *err);

// ---- what somebody sees

// SQL, true where the study with the UID in `study` may be seen; `hidden` is the parameter that is a scope's.
#define ACCESS_SEES(study_uid, hidden)                                                                                 \
    "NOT EXISTS(SELECT 1 FROM study_label WHERE study_label.study=" study_uid " AND (study_label.labels & " hidden     \
    ")<>0)"

// The same of one study. One that is not here is seen.
bool access_sees(struct database *db, struct access_scope scope, const char *study, bool *out, struct error *err);

// ---- the labels of a study; version: raised by each change, 0: it never had any

struct access_study_labels {
    uint64_t labels;
    int64_t version;
};
bool access_study_labels(struct database *db, const char *study, struct access_study_labels *out, struct error *err);
// Inside a write function (STORE_DURABLE, or one whose record has the names): the study has these labels too. A name
// that is no label any more is entered as one, for what was protected by it stays so. *changed: it lacked one. Then two
// events WORKLIST_CHANGED: of the study, and one that names none, for those who do not see it from now on.
bool access_study_label(struct database *db, const char *study, const char *names, bool *changed, struct error *err);
// The same for what a person says: it has these labels and no others. CONFLICT when another version stands. *now: as it
// is then.
bool access_study_labels_set(struct database *db, const char *study, uint64_t labels, int64_t version,
                             struct access_study_labels *now, struct error *err);

#endif
