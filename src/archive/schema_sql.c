// The archive's tables, step by step.
//
//   study          one per Study Instance UID
//   study_patient  one per patient that a study's objects name, by issuer and Patient ID; rank 0 came first
//   identity       each way in which a study's objects name a patient: what they say, and whose row that is
//   study_name     keys of names, of a patient's row each
//   series         one per patient and Series Instance UID, so that no series has objects of two
//   instance       one per object that is kept; of those with one SOP Instance UID rank 0 is served
//   difference     what an object says otherwise than the rows above it did when it came (columns.h)
//   conflict       an object that came under a UID that was there, what differs, and what somebody decided of it
//   patient_shown  a view: those of a study's patients that served objects name; what was made here of earlier images
//                  counts only where there is nothing else
//   study_shown    a view: one line a study, for lists (archive.h)
#include "archive/rows.h"

#define UNREADABLE "\xEF\xBF\xBD" // U+FFFD
#define COPIED                                                                                                         \
    "id, uid, modality, number, description, body_part, laterality, date, time, station, manufacturer, model, "        \
    "protocol, step_date, step_time, instance_count"

// Objects that came for a study and are not served in it, since an object of another study has their UID.
#define HELD_BACK                                                                                                      \
    "(SELECT count(DISTINCT instance.uid) FROM study_patient JOIN series ON series.patient=study_patient.id"           \
    " JOIN instance ON instance.series=series.id WHERE study_patient.study=study.id AND instance.rank>0"               \
    " AND NOT EXISTS(SELECT 1 FROM instance AS served JOIN series AS home ON home.id=served.series"                    \
    " JOIN study_patient AS owner ON owner.id=home.patient WHERE served.uid=instance.uid AND served.rank=0"            \
    " AND owner.study=study.id))"

// What the open conflicts of a study are about.
#define OPEN_CONFLICT "SELECT 1 FROM conflict WHERE conflict.study=study.id AND decision=0 AND urgent=1"
#define DIFFERS "SELECT 1 FROM conflict_difference WHERE conflict_difference.instance=conflict.instance AND tag IN"
#define PATIENT_ID "(1048608, 1048609)"            // (0010,0020), (0010,0021)
#define PATIENT_DATA "(1048592, 1048624, 1048640)" // (0010,0010), (0010,0030), (0010,0040)
#define ABOUT(condition, words) "CASE WHEN EXISTS(" OPEN_CONFLICT " AND " condition ") THEN ', " words "' ELSE '' END"
#define BY_PIXELS ABOUT("kind=1", "other pixels")
#define BY_UNKNOWN ABOUT("kind=2", "pixels that cannot be compared")
#define BY_MEANING ABOUT("kind=3", "another place, scale, part of the body or contrast of the same pixels")
#define BY_PATIENT_ID ABOUT("EXISTS(" DIFFERS PATIENT_ID ")", "another Patient ID")
#define BY_PATIENT ABOUT("EXISTS(" DIFFERS PATIENT_DATA ")", "another name, birth date or sex of the patient")
#define CAME_AGAIN                                                                                                     \
    "CASE conflicts WHEN 0 THEN '' ELSE CASE conflicts WHEN 1 THEN 'an object' ELSE CAST(conflicts AS TEXT) ||"        \
    " ' objects' END || ' came again with ' || substr(" BY_PIXELS " || " BY_UNKNOWN " || " BY_MEANING                  \
    " || " BY_PATIENT_ID " || " BY_PATIENT                                                                             \
    ", 3) || CASE conflicts WHEN 1 THEN ': the first is shown until somebody decides'"                                 \
    " ELSE ': the first ones are shown until somebody decides' END END AS conflicts,"

// A series of a study whose Series Instance UID is a series' of another study too: one pair, for with a sender that has
// one UID for all it does there are as many as studies.
#define SHARED_SERIES                                                                                                  \
    "coalesce((SELECT 'series ' || series.uid || ' of this study (' || study.uid || ') is also in study ' ||"          \
    " other.uid || ' of ' || CASE theirs.patient_id WHEN '' THEN 'a patient without ID' ELSE 'patient ' ||"            \
    " theirs.patient_id END || CASE theirs.accession WHEN '' THEN '' ELSE ', accession number ' || theirs.accession"   \
    " END || ': one of the two has a wrong Series Instance UID' FROM study_patient AS mine"                            \
    " JOIN series ON series.patient=mine.id AND series.instance_count>0"                                               \
    " JOIN series AS twin ON twin.uid=series.uid AND twin.instance_count>0"                                            \
    " JOIN study_patient AS theirs ON theirs.id=twin.patient AND theirs.study<>mine.study"                             \
    " JOIN study AS other ON other.id=theirs.study WHERE mine.study=study.id LIMIT 1), '')"

// The same with who gave the ID, for two patients may have one.
#define SERIES_SHARED                                                                                                  \
    "CREATE VIEW series_shared AS SELECT mine.study AS study, 'series ' || series.uid || ' of this study (' ||"        \
    " own.uid || ') is also in study ' || other.uid || ' of ' || CASE theirs.patient_id WHEN '' THEN"                  \
    " 'a patient without ID' ELSE 'patient ' || theirs.patient_id || CASE theirs.issuer WHEN '' THEN '' ELSE ' of '"   \
    " || theirs.issuer END END || CASE theirs.accession WHEN '' THEN '' ELSE ', accession number ' ||"                 \
    " theirs.accession END || ': one of the two has a wrong Series Instance UID' AS said FROM study_patient AS mine"   \
    " JOIN study AS own ON own.id=mine.study JOIN series ON series.patient=mine.id AND series.instance_count>0"        \
    " JOIN series AS twin ON twin.uid=series.uid AND twin.instance_count>0"                                            \
    " JOIN study_patient AS theirs ON theirs.id=twin.patient AND theirs.study<>mine.study"                             \
    " JOIN study AS other ON other.id=theirs.study;"
#define OTHER_STUDY                                                                                                    \
    "'study ' || other.uid || ' of ' || CASE theirs.patient_id WHEN '' THEN"                                           \
    " 'a patient without ID' ELSE 'patient ' || theirs.patient_id || CASE theirs.issuer WHEN '' THEN '' ELSE ' of '"   \
    " || theirs.issuer END END || CASE theirs.accession WHEN '' THEN '' ELSE ', accession number ' ||"                 \
    " theirs.accession END"
#define SHARED_WITH                                                                                                    \
    " || ': one of the two has a wrong Series Instance UID' AS said FROM study_patient AS mine"                        \
    " JOIN study AS own ON own.id=mine.study JOIN series ON series.patient=mine.id AND series.instance_count>0"        \
    " JOIN series AS twin ON twin.uid=series.uid AND twin.instance_count>0"                                            \
    " JOIN study_patient AS theirs ON theirs.id=twin.patient AND theirs.study<>mine.study"                             \
    " JOIN study AS other ON other.id=theirs.study;"
// The same, but for a study that not all see, which is not named.
#define SERIES_TOLD                                                                                                    \
    "CREATE VIEW series_told AS SELECT mine.study AS study, 'series ' || series.uid || ' of this study (' ||"          \
    " own.uid || ') is also in ' || CASE WHEN EXISTS(SELECT 1 FROM study_label WHERE study_label.study=other.uid"      \
    " AND study_label.labels<>0) THEN 'a study that not all may see' ELSE " OTHER_STUDY " END" SHARED_WITH
#define TOLD "coalesce((SELECT said FROM series_told WHERE series_told.study=study.id LIMIT 1), '')"
#define SHARED "coalesce((SELECT said FROM series_shared WHERE series_shared.study=study.id LIMIT 1), '')"

// A name and a birth date may be two people's.
#define UNIDENTIFIED                                                                                                   \
    "CASE patient_id WHEN '' THEN 'this study names no Patient ID: whose it is, only name and birth date tell'"        \
    " ELSE '' END"

// A series of which nothing is served, nor under its UID for another patient of the study, since all that came of it
// has the UIDs of other objects, and nobody has decided so.
#define SERIES_HELD_BACK                                                                                               \
    "CREATE VIEW series_held_back AS SELECT owner.study AS study, 'series ' || series.uid || ' of this study is held"  \
    " back as a whole: its images have the UIDs of other objects' AS said FROM series JOIN study_patient AS owner"     \
    " ON owner.id=series.patient WHERE series.instance_count=0 AND EXISTS(SELECT 1 FROM instance JOIN conflict"        \
    " ON conflict.instance=instance.id WHERE instance.series=series.id AND instance.rank>0 AND conflict.decision=0"    \
    " AND conflict.is_image=1) AND NOT EXISTS(SELECT 1 FROM series AS twin JOIN study_patient AS theirs"               \
    " ON theirs.id=twin.patient WHERE twin.uid=series.uid AND twin.instance_count>0 AND theirs.study=owner.study);"
#define BY_SERIES "coalesce((SELECT min(said) FROM series_held_back WHERE series_held_back.study=study.id), '')"

// The view study_shown since what came again is told with what differs. Came later: `more` columns, and what is said of
// images held back where none is for another study's sake.
#define STUDY_SHOWN_SAYING(in_study, more)                                                                             \
    "CREATE VIEW study_shown AS"                                                                                       \
    " SELECT study.uid AS study, patient_id, issuer, patient_name, birth_date, sex, accession, modalities,"            \
    " description, identity, " CAME_AGAIN " CASE " HELD_BACK " WHEN 0 THEN " in_study                                  \
    " WHEN 1 THEN '1 image of this study is held back: its UID is that of an object"                                   \
    " of another study' ELSE CAST(" HELD_BACK                                                                          \
    " AS TEXT) || ' images of this study are held back: their UIDs are those"                                          \
    " of objects of another study' END AS held_back,"                                                                  \
    " CASE rejected WHEN '' THEN '' ELSE 'images of this study were rejected by their sender (' || rejected ||"        \
    " '): the notes are kept, nothing is hidden' END AS rejected,"                                                     \
    " CASE WHEN patient_name LIKE '%" UNREADABLE "%' OR patient_id LIKE '%" UNREADABLE "%'"                            \
    " THEN 'a name of this study cannot be read in its character set' ELSE '' END AS unreadable" more                  \
    " FROM study JOIN study_patient AS shown ON shown.study=study.id AND shown.rank=coalesce((SELECT min(rank)"        \
    " FROM patient_shown WHERE patient_shown.study=study.id), (SELECT min(rank) FROM study_patient AS first"           \
    " WHERE first.study=study.id));"
#define STUDY_SHOWN(more) STUDY_SHOWN_SAYING("''", more)

// What the objects of a patient say of their study: of the first one's what the study's row has, of another one's what
// was noted to contradict it.
#define SAID_OF_STUDY(column, tag)                                                                                     \
    column "=coalesce((SELECT max(said) FROM difference JOIN instance ON instance.id=difference.instance JOIN series"  \
           " ON series.id=instance.series WHERE series.patient=study_patient.id AND tag=" tag                          \
           " AND study_patient.rank>0), (SELECT " column " FROM study WHERE study.id=study_patient.study))"

#define SAID_DATE SAID_OF_STUDY("date", "524320")
#define SAID_ACCESSION SAID_OF_STUDY("accession", "524368")
#define SAID_REFERRING SAID_OF_STUDY("referring", "524432")
#define SAID_DESCRIPTION SAID_OF_STUDY("description", "528432")
#define SAID_ID SAID_OF_STUDY("study_id", "2097168")

#define PATIENT_SHOWN                                                                                                  \
    "CREATE VIEW patient_shown AS"                                                                                     \
    " SELECT id, study, rank FROM study_patient WHERE instance_count>0 AND (EXISTS(SELECT 1 FROM identity"             \
    " WHERE identity.patient=study_patient.id AND served=1) OR NOT EXISTS(SELECT 1 FROM study_patient AS other"        \
    " JOIN identity ON identity.patient=other.id AND served=1 WHERE other.study=study_patient.study));"
#define STUDY_SHOWN_NOW                                                                                                \
    STUDY_SHOWN_SAYING(BY_SERIES, ", " SHARED " AS shared_series, " UNIDENTIFIED " AS unidentified, date")

// What a new database begins with: where the first 21 steps lead, for these take most of a start's time (a test
// compares the two).
static const char *const base[] = {
    "CREATE TABLE study(id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, identity TEXT NOT NULL DEFAULT '',"
    " conflicts INTEGER NOT NULL DEFAULT 0, rejected TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE INDEX study_flagged ON study(id) WHERE identity<>'';",
    "CREATE TABLE study_patient(id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study(id), rank INTEGER"
    " NOT NULL, patient_id TEXT NOT NULL, issuer TEXT NOT NULL, patient_name TEXT NOT NULL, birth_date TEXT NOT"
    " NULL, sex TEXT NOT NULL, modalities TEXT NOT NULL DEFAULT '', series_count INTEGER NOT NULL DEFAULT 0,"
    " instance_count INTEGER NOT NULL DEFAULT 0, date TEXT NOT NULL DEFAULT '', time TEXT NOT NULL DEFAULT '',"
    " accession TEXT NOT NULL DEFAULT '', referring TEXT NOT NULL DEFAULT '', description TEXT NOT NULL DEFAULT '',"
    " study_id TEXT NOT NULL DEFAULT '', zone TEXT NOT NULL DEFAULT '', UNIQUE(study, rank)) STRICT;"
    "CREATE INDEX study_patient_by_id ON study_patient(patient_id, issuer);"
    "CREATE INDEX study_patient_by_date ON study_patient(date DESC, time DESC, study DESC, rank);"
    "CREATE INDEX study_patient_by_accession ON study_patient(accession);",
    "CREATE TABLE identity(id INTEGER PRIMARY KEY, patient INTEGER NOT NULL REFERENCES study_patient(id),"
    " patient_id TEXT NOT NULL, issuer TEXT NOT NULL, patient_name TEXT NOT NULL, birth_date TEXT NOT NULL, sex"
    " TEXT NOT NULL, served INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX identity_by_patient ON identity(patient);",
    "CREATE TABLE study_name(tag INTEGER NOT NULL, key TEXT NOT NULL, patient INTEGER NOT NULL REFERENCES"
    " study_patient(id), PRIMARY KEY(tag, key, patient)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE series(id INTEGER PRIMARY KEY, patient INTEGER NOT NULL REFERENCES study_patient(id), uid TEXT"
    " NOT NULL, modality TEXT NOT NULL, number TEXT NOT NULL, description TEXT NOT NULL, body_part TEXT NOT NULL,"
    " laterality TEXT NOT NULL, date TEXT NOT NULL, time TEXT NOT NULL, station TEXT NOT NULL, manufacturer TEXT"
    " NOT NULL, model TEXT NOT NULL, protocol TEXT NOT NULL, step_date TEXT NOT NULL, step_time TEXT NOT NULL,"
    " frame_of_reference TEXT NOT NULL DEFAULT '', instance_count INTEGER NOT NULL DEFAULT 0, UNIQUE(patient, uid))"
    " STRICT;"
    "CREATE INDEX series_by_uid ON series(uid);",
    "CREATE TABLE instance(id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series(id), uid TEXT NOT"
    " NULL, class TEXT NOT NULL, number TEXT NOT NULL, rows TEXT NOT NULL, columns TEXT NOT NULL, bits TEXT NOT"
    " NULL, frames TEXT NOT NULL, syntax TEXT NOT NULL, container INTEGER NOT NULL, offset INTEGER NOT NULL, size"
    " INTEGER NOT NULL, header_size INTEGER NOT NULL, arrival INTEGER NOT NULL, digest BLOB NOT NULL, received_ns"
    " INTEGER NOT NULL, flags INTEGER NOT NULL, rank INTEGER NOT NULL, identity INTEGER REFERENCES identity(id),"
    " charset TEXT NOT NULL DEFAULT '', UNIQUE(container, offset)) STRICT;"
    "CREATE INDEX instance_by_uid ON instance(uid, rank);"
    "CREATE INDEX instance_by_series ON instance(series, rank);"
    "CREATE INDEX instance_flagged ON instance(id) WHERE flags>0;"
    "CREATE INDEX instance_by_flags ON instance(flags) WHERE flags>0;",
    "CREATE TABLE difference(instance INTEGER NOT NULL REFERENCES instance(id), tag INTEGER NOT NULL, said TEXT"
    " NOT NULL, known TEXT NOT NULL, PRIMARY KEY(instance, tag)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE conflict(instance INTEGER PRIMARY KEY REFERENCES instance(id), study INTEGER NOT NULL"
    " REFERENCES study(id), kind INTEGER NOT NULL, urgent INTEGER NOT NULL, how TEXT NOT NULL, sender TEXT NOT"
    " NULL, is_image INTEGER NOT NULL, decision INTEGER NOT NULL DEFAULT 0, decided_by TEXT NOT NULL DEFAULT '',"
    " decided_ns INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX conflict_by_study ON conflict(study);"
    "CREATE INDEX conflict_open ON conflict(instance) WHERE decision=0;",
    "CREATE TABLE conflict_difference(instance INTEGER NOT NULL REFERENCES instance(id), tag INTEGER NOT NULL,"
    " said TEXT NOT NULL, known TEXT NOT NULL, PRIMARY KEY(instance, tag)) STRICT, WITHOUT ROWID;",
    PATIENT_SHOWN,
    SERIES_HELD_BACK,
    SERIES_SHARED,
    STUDY_SHOWN_NOW,
    NULL,
};

static const char *const steps[] = {
    "CREATE TABLE study("
    " id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, patient_id TEXT NOT NULL, issuer TEXT NOT NULL,"
    " patient_name TEXT NOT NULL, name_key TEXT NOT NULL, birth_date TEXT NOT NULL, sex TEXT NOT NULL,"
    " date TEXT NOT NULL, time TEXT NOT NULL, accession TEXT NOT NULL, referring TEXT NOT NULL, study_id TEXT NOT NULL,"
    " description TEXT NOT NULL, modalities TEXT NOT NULL DEFAULT '',"
    " series_count INTEGER NOT NULL DEFAULT 0, instance_count INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX study_by_date ON study(date DESC, time DESC, id DESC);"
    "CREATE INDEX study_by_patient ON study(patient_id, issuer);"
    "CREATE INDEX study_by_name ON study(name_key);"
    "CREATE INDEX study_by_accession ON study(accession);"
    "CREATE TABLE series("
    " id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study(id), uid TEXT NOT NULL, modality TEXT NOT NULL,"
    " number TEXT NOT NULL, description TEXT NOT NULL, body_part TEXT NOT NULL, laterality TEXT NOT NULL,"
    " date TEXT NOT NULL, time TEXT NOT NULL, station TEXT NOT NULL, manufacturer TEXT NOT NULL, model TEXT NOT NULL,"
    " protocol TEXT NOT NULL, step_date TEXT NOT NULL, step_time TEXT NOT NULL,"
    " instance_count INTEGER NOT NULL DEFAULT 0, UNIQUE(study, uid)) STRICT;"
    "CREATE INDEX series_by_uid ON series(uid);"
    "CREATE TABLE instance("
    " id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series(id), uid TEXT NOT NULL, class TEXT NOT NULL,"
    " number TEXT NOT NULL, rows TEXT NOT NULL, columns TEXT NOT NULL, bits TEXT NOT NULL, frames TEXT NOT NULL,"
    " syntax TEXT NOT NULL, container INTEGER NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL,"
    " header_size INTEGER NOT NULL, arrival INTEGER NOT NULL, digest BLOB NOT NULL, received_ns INTEGER NOT NULL, "
    "flags INTEGER NOT NULL,"
    " rank INTEGER NOT NULL, UNIQUE(container, offset)) STRICT;"
    "CREATE INDEX instance_by_uid ON instance(uid, rank);"
    "CREATE INDEX instance_by_series ON instance(series, rank);"
    "CREATE INDEX instance_conflicts ON instance(id) WHERE rank>0;"
    "CREATE INDEX instance_flagged ON instance(id) WHERE flags>0;",
    // A row for each way that a name is written in (rows_name_keys).
    "CREATE TABLE study_name("
    " tag INTEGER NOT NULL, key TEXT NOT NULL, study INTEGER NOT NULL REFERENCES study(id),"
    " PRIMARY KEY(tag, key, study)) STRICT, WITHOUT ROWID;"
    "DROP INDEX study_by_name;"
    "ALTER TABLE study DROP COLUMN name_key;",
    // Several patients under one Study Instance UID.
    "CREATE TABLE study_patient("
    " id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study(id), rank INTEGER NOT NULL,"
    " patient_id TEXT NOT NULL, issuer TEXT NOT NULL, patient_name TEXT NOT NULL, birth_date TEXT NOT NULL,"
    " sex TEXT NOT NULL, modalities TEXT NOT NULL DEFAULT '', series_count INTEGER NOT NULL DEFAULT 0,"
    " instance_count INTEGER NOT NULL DEFAULT 0, UNIQUE(study, rank)) STRICT;"
    "INSERT INTO study_patient SELECT id, id, 0, patient_id, issuer, patient_name, birth_date, sex, modalities,"
    " series_count, instance_count FROM study;"
    "CREATE INDEX study_patient_by_id ON study_patient(patient_id, issuer);"
    "CREATE TABLE identity("
    " id INTEGER PRIMARY KEY, patient INTEGER NOT NULL REFERENCES study_patient(id), patient_id TEXT NOT NULL,"
    " issuer TEXT NOT NULL, patient_name TEXT NOT NULL, birth_date TEXT NOT NULL, sex TEXT NOT NULL,"
    " served INTEGER NOT NULL DEFAULT 0) STRICT;"
    "INSERT INTO identity SELECT id, id, patient_id, issuer, patient_name, birth_date, sex, 1 FROM study_patient;"
    "CREATE INDEX identity_by_patient ON identity(patient);"
    "ALTER TABLE instance ADD COLUMN identity INTEGER REFERENCES identity(id);"
    "UPDATE instance SET identity=(SELECT study FROM series WHERE series.id=instance.series);"
    "CREATE TABLE name_before AS SELECT tag, key, study FROM study_name;"
    "DROP TABLE study_name;"
    "CREATE TABLE study_name("
    " tag INTEGER NOT NULL, key TEXT NOT NULL, patient INTEGER NOT NULL REFERENCES study_patient(id),"
    " PRIMARY KEY(tag, key, patient)) STRICT, WITHOUT ROWID;"
    "INSERT INTO study_name SELECT tag, key, study FROM name_before;"
    "DROP TABLE name_before;"
    "DROP INDEX study_by_patient;"
    "ALTER TABLE study DROP COLUMN patient_id; ALTER TABLE study DROP COLUMN issuer;"
    "ALTER TABLE study DROP COLUMN patient_name; ALTER TABLE study DROP COLUMN birth_date;"
    "ALTER TABLE study DROP COLUMN sex; ALTER TABLE study DROP COLUMN modalities;"
    "ALTER TABLE study DROP COLUMN series_count; ALTER TABLE study DROP COLUMN instance_count;"
    "ALTER TABLE study ADD COLUMN identity TEXT NOT NULL DEFAULT '';"
    // Rows of instance name those of series all the while.
    "PRAGMA defer_foreign_keys=ON;"
    "CREATE TABLE series_before AS SELECT study, " COPIED " FROM series;"
    "DROP TABLE series;"
    "CREATE TABLE series("
    " id INTEGER PRIMARY KEY, patient INTEGER NOT NULL REFERENCES study_patient(id), uid TEXT NOT NULL,"
    " modality TEXT NOT NULL, number TEXT NOT NULL, description TEXT NOT NULL, body_part TEXT NOT NULL,"
    " laterality TEXT NOT NULL, date TEXT NOT NULL, time TEXT NOT NULL, station TEXT NOT NULL,"
    " manufacturer TEXT NOT NULL, model TEXT NOT NULL, protocol TEXT NOT NULL, step_date TEXT NOT NULL,"
    " step_time TEXT NOT NULL, frame_of_reference TEXT NOT NULL DEFAULT '',"
    " instance_count INTEGER NOT NULL DEFAULT 0, UNIQUE(patient, uid)) STRICT;"
    "INSERT INTO series(patient, " COPIED ") SELECT study, " COPIED " FROM series_before;"
    "DROP TABLE series_before;"
    "CREATE INDEX series_by_uid ON series(uid);"
    "CREATE TABLE difference("
    " instance INTEGER NOT NULL REFERENCES instance(id), tag INTEGER NOT NULL, said TEXT NOT NULL,"
    " known TEXT NOT NULL, PRIMARY KEY(instance, tag)) STRICT, WITHOUT ROWID;"
    "CREATE VIEW study_shown AS"
    " SELECT study.uid AS study, patient_id, issuer, patient_name, birth_date, sex, accession, modalities, description,"
    " identity FROM study JOIN study_patient AS shown ON shown.study=study.id AND shown.rank=(SELECT min(rank)"
    " FROM study_patient AS served WHERE served.study=study.id AND served.instance_count>0);",
    // What text is in where the object does not say so.
    "ALTER TABLE instance ADD COLUMN charset TEXT NOT NULL DEFAULT '';",
    // What came under a known UID is compared, and waits for a decision.
    "CREATE TABLE conflict("
    " instance INTEGER PRIMARY KEY REFERENCES instance(id), study INTEGER NOT NULL REFERENCES study(id),"
    " kind INTEGER NOT NULL, urgent INTEGER NOT NULL, how TEXT NOT NULL, sender TEXT NOT NULL,"
    " is_image INTEGER NOT NULL, decision INTEGER NOT NULL DEFAULT 0, decided_by TEXT NOT NULL DEFAULT '',"
    " decided_ns INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX conflict_by_study ON conflict(study);"
    "CREATE INDEX conflict_open ON conflict(instance) WHERE decision=0;"
    "CREATE TABLE conflict_difference("
    " instance INTEGER NOT NULL REFERENCES instance(id), tag INTEGER NOT NULL, said TEXT NOT NULL,"
    " known TEXT NOT NULL, PRIMARY KEY(instance, tag)) STRICT, WITHOUT ROWID;"
    "INSERT INTO conflict(instance, study, kind, urgent, how, sender, is_image)"
    " SELECT instance.id, study_patient.study, 2, 1, '', '', instance.rows<>'' FROM instance"
    " JOIN instance AS served ON served.uid=instance.uid AND served.rank=0 JOIN series ON series.id=served.series"
    " JOIN study_patient ON study_patient.id=series.patient WHERE instance.rank>0;"
    "DROP INDEX instance_conflicts;"
    "ALTER TABLE study ADD COLUMN conflicts INTEGER NOT NULL DEFAULT 0;"
    "UPDATE study SET conflicts=(SELECT count(*) FROM conflict WHERE conflict.study=study.id);"
    "DROP VIEW study_shown;"
    "CREATE VIEW study_shown AS"
    " SELECT study.uid AS study, patient_id, issuer, patient_name, birth_date, sex, accession, modalities, description,"
    " identity, CASE conflicts WHEN 0 THEN '' WHEN 1 THEN 'an object came again with other pixels or another patient:"
    " the first is shown until somebody decides' ELSE CAST(conflicts AS TEXT) || ' objects came again with other pixels"
    " or another patient: the first ones are shown until somebody decides' END AS conflicts"
    " FROM study JOIN study_patient AS shown ON shown.study=study.id AND shown.rank=(SELECT min(rank)"
    " FROM study_patient AS served WHERE served.study=study.id AND served.instance_count>0);",
    // What is wrong with objects and studies, to be counted.
    "CREATE INDEX instance_by_flags ON instance(flags) WHERE flags>0;"
    "CREATE INDEX study_flagged ON study(id) WHERE identity<>'';",
    // What is held back is told where it is missed, also where nothing else is served.
    "DROP VIEW study_shown;"
    "CREATE VIEW study_shown AS"
    " SELECT study.uid AS study, patient_id, issuer, patient_name, birth_date, sex, accession, modalities, description,"
    " identity, CASE conflicts WHEN 0 THEN '' WHEN 1 THEN 'an object came again with other pixels or another patient:"
    " the first is shown until somebody decides' ELSE CAST(conflicts AS TEXT) || ' objects came again with other pixels"
    " or another patient: the first ones are shown until somebody decides' END AS conflicts,"
    " CASE " HELD_BACK " WHEN 0 THEN '' WHEN 1 THEN '1 image of this study is held back: its UID is that of an object"
    " of another study' ELSE CAST(" HELD_BACK " AS TEXT) || ' images of this study are held back: their UIDs are those"
    " of objects of another study' END AS held_back"
    " FROM study JOIN study_patient AS shown ON shown.study=study.id AND shown.rank=(SELECT coalesce(min(CASE WHEN"
    " instance_count>0 THEN rank END), min(rank)) FROM study_patient AS served WHERE served.study=study.id);",
    // Notes that reject images, and names that cannot be read.
    "ALTER TABLE study ADD COLUMN rejected TEXT NOT NULL DEFAULT '';"
    "DROP VIEW study_shown;"
    "CREATE VIEW study_shown AS"
    " SELECT study.uid AS study, patient_id, issuer, patient_name, birth_date, sex, accession, modalities, description,"
    " identity, CASE conflicts WHEN 0 THEN '' WHEN 1 THEN 'an object came again with other pixels or another patient:"
    " the first is shown until somebody decides' ELSE CAST(conflicts AS TEXT) || ' objects came again with other pixels"
    " or another patient: the first ones are shown until somebody decides' END AS conflicts,"
    " CASE " HELD_BACK " WHEN 0 THEN '' WHEN 1 THEN '1 image of this study is held back: its UID is that of an object"
    " of another study' ELSE CAST(" HELD_BACK " AS TEXT) || ' images of this study are held back: their UIDs are those"
    " of objects of another study' END AS held_back,"
    " CASE rejected WHEN '' THEN '' ELSE 'images of this study were rejected by their sender (' || rejected ||"
    " '): the notes are kept, nothing is hidden' END AS rejected,"
    " CASE WHEN patient_name LIKE '%" UNREADABLE "%' OR patient_id LIKE '%" UNREADABLE "%'"
    " THEN 'a name of this study cannot be read in its character set' ELSE '' END AS unreadable"
    " FROM study JOIN study_patient AS shown ON shown.study=study.id AND shown.rank=(SELECT coalesce(min(CASE WHEN"
    " instance_count>0 THEN rank END), min(rank)) FROM study_patient AS served WHERE served.study=study.id);",
    // A study whose images came again under another patient is that one's.
    PATIENT_SHOWN
    "DROP VIEW study_shown;"
    "CREATE VIEW study_shown AS"
    " SELECT study.uid AS study, patient_id, issuer, patient_name, birth_date, sex, accession, modalities, description,"
    " identity, CASE conflicts WHEN 0 THEN '' WHEN 1 THEN 'an object came again with other pixels or another patient:"
    " the first is shown until somebody decides' ELSE CAST(conflicts AS TEXT) || ' objects came again with other pixels"
    " or another patient: the first ones are shown until somebody decides' END AS conflicts,"
    " CASE " HELD_BACK " WHEN 0 THEN '' WHEN 1 THEN '1 image of this study is held back: its UID is that of an object"
    " of another study' ELSE CAST(" HELD_BACK " AS TEXT) || ' images of this study are held back: their UIDs are those"
    " of objects of another study' END AS held_back,"
    " CASE rejected WHEN '' THEN '' ELSE 'images of this study were rejected by their sender (' || rejected ||"
    " '): the notes are kept, nothing is hidden' END AS rejected,"
    " CASE WHEN patient_name LIKE '%" UNREADABLE "%' OR patient_id LIKE '%" UNREADABLE "%'"
    " THEN 'a name of this study cannot be read in its character set' ELSE '' END AS unreadable"
    " FROM study JOIN study_patient AS shown ON shown.study=study.id AND shown.rank=coalesce((SELECT min(rank)"
    " FROM patient_shown WHERE patient_shown.study=study.id), (SELECT min(rank) FROM study_patient AS first"
    " WHERE first.study=study.id));",
    // What came again is told with what differs.
    "DROP VIEW study_shown;" STUDY_SHOWN(""),
    // What is said of the study is each patient's own. Of a study of several in a database of the program before: what
    // the first patient's row has, unless the other one's objects said otherwise.
    "DROP VIEW study_shown;"
    "ALTER TABLE study_patient ADD COLUMN date TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE study_patient ADD COLUMN time TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE study_patient ADD COLUMN accession TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE study_patient ADD COLUMN referring TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE study_patient ADD COLUMN description TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE study_patient ADD COLUMN study_id TEXT NOT NULL DEFAULT '';"
    "UPDATE study_patient SET " SAID_DATE ", " SAID_ACCESSION ", " SAID_REFERRING ", " SAID_DESCRIPTION ", " SAID_ID
    ", time=CASE rank WHEN 0 THEN (SELECT time FROM study WHERE study.id=study_patient.study) ELSE '' END;",
    "DROP INDEX study_by_date; DROP INDEX study_by_accession;"
    "ALTER TABLE study DROP COLUMN date; ALTER TABLE study DROP COLUMN time; ALTER TABLE study DROP COLUMN accession;"
    "ALTER TABLE study DROP COLUMN referring; ALTER TABLE study DROP COLUMN description;"
    "ALTER TABLE study DROP COLUMN study_id;"
    "CREATE INDEX study_patient_by_date ON study_patient(date DESC, time DESC, study DESC, rank);"
    "CREATE INDEX study_patient_by_accession ON study_patient(accession);" STUDY_SHOWN(""),
    // Two studies with one Series Instance UID.
    "DROP VIEW study_shown;" STUDY_SHOWN(", " SHARED_SERIES " AS shared_series"),
    // Their objects are flagged.
    "UPDATE instance SET flags=flags | 128 WHERE series IN (SELECT series.id FROM series JOIN study_patient AS mine"
    " ON mine.id=series.patient WHERE EXISTS(SELECT 1 FROM series AS twin JOIN study_patient AS theirs"
    " ON theirs.id=twin.patient WHERE twin.uid=series.uid AND theirs.study<>mine.study));",
    // Of studies that were there before it is not known, until the index is built again.
    "ALTER TABLE study_patient ADD COLUMN zone TEXT NOT NULL DEFAULT '';",
    // A series that is held back as a whole.
    SERIES_HELD_BACK,
    "DROP VIEW study_shown;" STUDY_SHOWN_SAYING(BY_SERIES, ", " SHARED_SERIES " AS shared_series"),
    // Objects and studies without a Patient ID.
    "UPDATE instance SET flags=flags | 256 WHERE identity IN (SELECT id FROM identity WHERE patient_id='');",
    SERIES_SHARED,
    "DROP VIEW study_shown;" STUDY_SHOWN_SAYING(BY_SERIES,
                                                ", " SHARED " AS shared_series, " UNIDENTIFIED " AS unidentified"),
    // Two studies of one patient are told apart by their dates.
    "DROP VIEW study_shown;" STUDY_SHOWN_NOW,
    // That a series is also in a study which not all see is said without saying which.
    "DROP VIEW study_shown; DROP VIEW series_shared;" SERIES_TOLD,
    STUDY_SHOWN_SAYING(BY_SERIES, ", " TOLD " AS shared_series, " UNIDENTIFIED " AS unidentified, date"),
    NULL,
};

const struct store_migration rows_migration = {.room = "archive", .steps = steps, .base = base, .base_steps = 21};
