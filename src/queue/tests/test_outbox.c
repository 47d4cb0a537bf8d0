#include "place.h"

#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "support/folder.h"
#include "support/store.h"

#define RESULT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define RESULT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define T0 (INT64_C(1700000000) * CLOCK_SECOND)

static void add(struct place *place, const char *key, const char *target)
{
    bool added;
    assert_ok(delivery_add(place->store, key, target, T0, &added, &place->err), place->err);
    assert_true(added);
}

static struct queue_delivery *claim(struct place *place, int64_t now_ns, int64_t *next_ns)
{
    struct queue_delivery *delivery;
    assert_ok(delivery_claim(place, now_ns, &delivery, next_ns), place->err);
    return delivery;
}

static struct queue_delivery *list_one(struct place *place, enum queue_delivery_state state)
{
    struct queue_delivery *deliveries;
    size_t count;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(queue_delivery_list(db, ACCESS_ALL, &(struct queue_delivery_filter){.state = state}, 10, &place->arena,
                                  &deliveries, &count, &place->err),
              place->err);
    store_read_end(place->store, db);
    assert_int_equal(count, 1);
    return deliveries;
}

static void a_delivery_is_made_once_per_key(void **state)
{
    struct place place;
    int64_t next_ns;
    bool added;
    (void)state;
    place_open(&place);
    assert_null(claim(&place, T0, &next_ns));
    assert_int_equal(next_ns, INT64_MAX);
    add(&place, "k", "pacs");
    struct queue_delivery *delivery = claim(&place, T0, &next_ns);
    assert_string_equal(delivery->payload, "{\"object\":1}");
    assert_string_equal(delivery->subject, "1.2.3");
    assert_int_equal(delivery->attempts, 1);
    assert_ok(delivery_done(&place, delivery, T0 + 1), place.err);
    assert_false(delivery_done(&place, delivery, T0 + 2));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_ok(delivery_add(place.store, "k", "pacs", T0, &added, &place.err), place.err);
    assert_false(added);
    assert_null(claim(&place, T0 + CLOCK_SECOND, &next_ns));
    assert_int_equal(next_ns, INT64_MAX);
    assert_int_equal(list_one(&place, QUEUE_DELIVERY_DONE)->done_ns, T0 + 1);
    assert_int_equal(place_events(&place, STORE_EVENT_DELIVERY_DONE), 1);
    place_close(&place);
}

static void deliveries_are_counted_by_target_and_state_with_the_age_of_the_oldest(void **state)
{
    struct place place;
    struct queue_delivery_count *counts;
    int64_t next_ns;
    size_t count;
    bool added;
    (void)state;
    place_open(&place);
    add(&place, "k1", "pacs");
    assert_ok(delivery_done(&place, claim(&place, T0, &next_ns), T0), place.err);
    assert_ok(delivery_add(place.store, "k2", "pacs", T0 + 7, &added, &place.err), place.err);
    assert_ok(delivery_add(place.store, "k3", "pacs", T0 + 9, &added, &place.err), place.err);
    assert_ok(delivery_add(place.store, "k4", "other", T0 + 1, &added, &place.err), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(queue_delivery_counts(db, &place.arena, &counts, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 5);
    assert_string_equal(counts[0].target, "other");
    assert_true(counts[0].state == QUEUE_DELIVERY_WAITING && counts[0].count == 1 && counts[0].oldest_ns == T0 + 1);
    assert_true(counts[1].state == QUEUE_DELIVERY_DEAD && counts[1].count == 0);
    assert_string_equal(counts[2].target, "pacs");
    assert_string_equal(counts[2].kind, "dicom");
    assert_true(counts[2].state == QUEUE_DELIVERY_WAITING && counts[2].count == 2 && counts[2].oldest_ns == T0 + 7);
    assert_true(counts[3].state == QUEUE_DELIVERY_DONE && counts[3].count == 1);
    place_close(&place);
}

static void failures_back_off_to_a_minute_and_never_end(void **state)
{
    static const int64_t waits[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct place place;
    int64_t now_ns = T0, next_ns;
    (void)state;
    place_open(&place);
    add(&place, "k", "pacs");
    for (int i = 0; i < 4400; i++) { // three days of a minute
        int64_t wait_ns = (i < 9 ? waits[i] : 60) * CLOCK_SECOND;
        struct queue_delivery *delivery = claim(&place, now_ns, &next_ns);
        assert_non_null(delivery);
        assert_ok(delivery_failed(&place, delivery, QUEUE_NOT_TAKEN, now_ns), place.err);
        if (i < 9) {
            assert_null(claim(&place, now_ns + wait_ns - 1, &next_ns));
            assert_int_equal(next_ns, now_ns + wait_ns);
        }
        now_ns += wait_ns;
        arena_reset(&place.arena);
    }
    struct queue_delivery *delivery = claim(&place, now_ns, &next_ns);
    assert_int_equal(delivery->attempts, 4401);
    assert_string_equal(delivery->last_error, "no\\x0Aanswer");
    assert_ok(delivery_done(&place, delivery, now_ns), place.err);
    place_close(&place);
}

static void a_target_that_is_down_is_asked_once_per_back_off_and_holds_up_no_other(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "down%d", i);
        add(&place, key, "down");
    }
    add(&place, "up", "up");
    struct queue_delivery *first = claim(&place, T0, &next_ns);
    assert_string_equal(first->target, "down");
    struct queue_delivery *other = claim(&place, T0, &next_ns); // one at a time for each target
    assert_string_equal(other->target, "up");
    assert_null(claim(&place, T0, &next_ns));
    assert_int_equal(next_ns, T0 + LEASE);
    assert_ok(delivery_failed(&place, first, QUEUE_NOT_TAKEN, T0), place.err);
    assert_ok(delivery_done(&place, other, T0), place.err);
    assert_null(claim(&place, T0, &next_ns));
    assert_int_equal(next_ns, T0 + CLOCK_SECOND);
    int64_t now_ns = T0 + CLOCK_SECOND;
    int asked = 0;
    for (int second = 0; second < 600; second++, now_ns += CLOCK_SECOND) {
        struct queue_delivery *delivery = claim(&place, now_ns, &next_ns);
        if (!delivery)
            continue;
        asked++;
        assert_ok(delivery_failed(&place, delivery, QUEUE_NOT_TAKEN, now_ns), place.err);
        arena_reset(&place.arena);
    }
    assert_in_range(asked, 10, 20);
    now_ns += 60 * CLOCK_SECOND;
    for (int i = 0; i < 100; i++) { // it is up again: all go at once
        struct queue_delivery *delivery = claim(&place, now_ns, &next_ns);
        assert_non_null(delivery);
        assert_ok(delivery_done(&place, delivery, now_ns), place.err);
    }
    assert_null(claim(&place, now_ns, &next_ns));
    assert_int_equal(next_ns, INT64_MAX);
    place_close(&place);
}

static void a_sender_that_vanished_is_replaced_and_fenced_off(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    add(&place, "k", "pacs");
    struct queue_delivery *slow = claim(&place, T0, &next_ns);
    assert_null(claim(&place, T0 + LEASE - 1, &next_ns));
    assert_int_equal(next_ns, T0 + LEASE);
    struct queue_delivery *second = claim(&place, T0 + LEASE, &next_ns);
    assert_non_null(second);
    assert_int_equal(second->attempts, 2);
    assert_false(delivery_done(&place, slow, T0 + LEASE));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_false(delivery_failed(&place, slow, QUEUE_REFUSED, T0 + LEASE));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_ok(delivery_done(&place, second, T0 + LEASE), place.err);
    place_close(&place);
}

static void refusals_end_in_the_dead_list_and_a_person_may_replay(void **state)
{
    struct place place;
    int64_t now_ns = T0, next_ns;
    (void)state;
    place_open(&place);
    add(&place, "k", "pacs");
    add(&place, "k2", "pacs");
    for (int i = 0; i < QUEUE_REFUSALS_MAX; i++) {
        struct queue_delivery *delivery = claim(&place, now_ns, &next_ns);
        while (delivery && strcmp(delivery->key, "k2") == 0) { // not held up by its neighbour's refusals
            assert_ok(delivery_done(&place, delivery, now_ns), place.err);
            delivery = claim(&place, now_ns, &next_ns);
        }
        assert_non_null(delivery);
        assert_false(delivery_replay(&place, delivery->id, now_ns));
        assert_int_equal(place.err.code, ERROR_CONFLICT);
        assert_ok(delivery_failed(&place, delivery, QUEUE_REFUSED, now_ns), place.err);
        now_ns += 60 * CLOCK_SECOND;
    }
    assert_null(claim(&place, now_ns, &next_ns));
    assert_int_equal(next_ns, INT64_MAX);
    struct queue_delivery *dead = list_one(&place, QUEUE_DELIVERY_DEAD);
    assert_string_equal(dead->key, "k");
    assert_ok(delivery_replay(&place, dead->id, now_ns), place.err);
    struct queue_delivery *again = claim(&place, now_ns, &next_ns);
    assert_int_equal(again->attempts, 1);
    assert_ok(delivery_done(&place, again, now_ns), place.err);
    assert_false(delivery_replay(&place, 12345, now_ns));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    place_close(&place);
}

// One of a study's messages to a RIS.
static void add_to(struct place *place, const char *key, const char *sequence, const char *topic, const char *batch)
{
    struct queue_delivery delivery = {.key = key,
                                      .target = "ris",
                                      .kind = "dicom",
                                      .subject = key,
                                      .sequence = sequence,
                                      .topic = topic,
                                      .batch = batch};
    assert_ok(delivery_add_row(place, &delivery, T0), place->err);
}

static void assert_claims(struct place *place, int64_t now_ns, const char *key)
{
    int64_t next_ns;
    struct queue_delivery *delivery = claim(place, now_ns, &next_ns);
    assert_non_null(delivery);
    assert_string_equal(delivery->key, key);
    assert_ok(delivery_done(place, delivery, now_ns), place->err);
}

static void a_failure_holds_up_what_follows_in_its_sequence_and_nothing_else(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    add_to(&place, "old", "study 1", "", "");
    add_to(&place, "new", "study 1", "", "");
    add_to(&place, "other", "study 2", "", "");
    struct queue_delivery *old = claim(&place, T0, &next_ns);
    assert_string_equal(old->key, "old");
    assert_ok(delivery_failed(&place, old, QUEUE_REFUSED, T0), place.err);
    assert_claims(&place, T0, "other");
    assert_null(claim(&place, T0, &next_ns));
    assert_int_equal(next_ns, T0 + CLOCK_SECOND);
    assert_claims(&place, T0 + CLOCK_SECOND, "old");
    assert_claims(&place, T0 + CLOCK_SECOND, "new");
    place_close(&place);
}

static void what_is_damaged_is_dead_at_once_and_holds_up_no_other(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    add_to(&place, "damaged", "", "", "");
    add_to(&place, "sound", "", "", "");
    assert_ok(delivery_failed(&place, claim(&place, T0, &next_ns), QUEUE_DAMAGED, T0), place.err);
    assert_false(queue_delivery_may_be_known(list_one(&place, QUEUE_DELIVERY_DEAD)));
    assert_claims(&place, T0, "sound");
    assert_ok(delivery_replay(&place, list_one(&place, QUEUE_DELIVERY_DEAD)->id, T0), place.err);
    assert_claims(&place, T0, "damaged");
    place_close(&place);
}

static void what_is_obsolete_is_never_sent_and_cannot_be_replayed(void **state)
{
    struct place place;
    int64_t next_ns, now_ns = T0;
    (void)state;
    place_open(&place);
    add_to(&place, "dead", "", "topic", "1");
    for (int i = 0; i < QUEUE_REFUSALS_MAX; i++, now_ns += 60 * CLOCK_SECOND)
        assert_ok(delivery_failed(&place, claim(&place, now_ns, &next_ns), QUEUE_REFUSED, now_ns), place.err);
    add_to(&place, "waits", "", "topic", "1");
    add_to(&place, "other", "", "another", "1");
    int64_t dead = list_one(&place, QUEUE_DELIVERY_DEAD)->id;
    assert_ok(delivery_obsolete(&place, "topic", "2"), place.err);
    add_to(&place, "new", "", "topic", "2");
    assert_false(delivery_replay(&place, dead, now_ns));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_claims(&place, now_ns, "other");
    assert_claims(&place, now_ns, "new");
    assert_null(claim(&place, now_ns, &next_ns));
    assert_int_equal(next_ns, INT64_MAX);
    assert_ok(delivery_obsolete(&place, "", "3"), place.err); // of no topic: nothing
    place_close(&place);
}

// A person's word, of one or of a target.
struct said {
    bool give_up;
    int64_t id;
    const char *target;
    int64_t count;
};

static bool write_said(struct database *db, void *payload, struct error *err)
{
    struct said *said = payload;
    if (!said->target)
        return queue_delivery_give_up(db, ACCESS_ALL, said->id, "given up by Dr. A: the old PACS is gone", err);
    return said->give_up
               ? queue_delivery_give_up_target(db, ACCESS_ALL, "dicom", said->target, "gone", &said->count, err)
               : queue_delivery_replay_target(db, ACCESS_ALL, "dicom", said->target, T0, &said->count, err);
}

static bool say(struct place *place, struct said *said)
{
    return store_write(place->store, STORE_DURABLE, write_said, said, &place->err);
}

static int64_t counted(struct place *place, enum queue_delivery_state state)
{
    struct queue_delivery_count *counts;
    size_t count;
    int64_t found = 0;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(queue_delivery_counts(db, &place->arena, &counts, &count, &place->err), place->err);
    store_read_end(place->store, db);
    for (size_t i = 0; i < count; i++)
        found += counts[i].state == state ? counts[i].count : 0;
    return found;
}

static void what_is_given_up_is_not_sent_holds_up_no_other_and_comes_back_by_a_replay_alone(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    add_to(&place, "first", "study 1", "topic", "1");
    add_to(&place, "second", "study 1", "", "");
    struct queue_delivery *first = claim(&place, T0, &next_ns);
    assert_false(say(&place, &(struct said){.id = first->id})); // it is on its way
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_ok(delivery_failed(&place, first, QUEUE_REFUSED, T0), place.err);
    assert_ok(say(&place, &(struct said){.id = first->id}), place.err);
    assert_claims(&place, T0, "second");
    assert_string_equal(list_one(&place, QUEUE_DELIVERY_GIVEN_UP)->last_error,
                        "given up by Dr. A: the old PACS is gone");
    assert_int_equal(counted(&place, QUEUE_DELIVERY_GIVEN_UP), 1);
    assert_int_equal(counted(&place, QUEUE_DELIVERY_WAITING), 0);
    assert_null(claim(&place, T0 + 3600 * CLOCK_SECOND, &next_ns));
    assert_ok(delivery_obsolete(&place, "topic", "2"), place.err);
    assert_int_equal(list_one(&place, QUEUE_DELIVERY_GIVEN_UP)->id, first->id);
    assert_ok(delivery_replay(&place, first->id, T0), place.err);
    assert_int_equal(counted(&place, QUEUE_DELIVERY_GIVEN_UP), 0);
    assert_int_equal(counted(&place, QUEUE_DELIVERY_WAITING), 1);
    assert_claims(&place, T0, "first");
    assert_false(say(&place, &(struct said){.id = 999}));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    place_close(&place);
}

static void all_of_a_target_are_given_up_or_sent_again_at_once_and_no_other_s(void **state)
{
    struct place place;
    int64_t next_ns, now_ns = T0;
    (void)state;
    place_open(&place);
    struct queue_delivery elsewhere = {.key = "elsewhere", .target = "pacs", .kind = "dicom"};
    add_to(&place, "dead", "", "", "");
    for (int i = 0; i < QUEUE_REFUSALS_MAX; i++, now_ns += 60 * CLOCK_SECOND)
        assert_ok(delivery_failed(&place, claim(&place, now_ns, &next_ns), QUEUE_REFUSED, now_ns), place.err);
    add_to(&place, "waits", "", "", "");
    assert_ok(delivery_add_row(&place, &elsewhere, T0), place.err);
    struct said said = {.target = "ris"};
    assert_ok(say(&place, &said), place.err);
    assert_int_equal(said.count, 1);
    assert_int_equal(counted(&place, QUEUE_DELIVERY_WAITING), 3);
    struct queue_delivery *sending = claim(&place, now_ns, &next_ns); // of pacs or ris
    while (strcmp(sending->target, "ris") != 0)
        sending = claim(&place, now_ns, &next_ns);
    said.give_up = true;
    assert_ok(say(&place, &said), place.err);
    assert_int_equal(said.count, 2);
    assert_false(delivery_failed(&place, sending, QUEUE_REFUSED, now_ns)); // its sender has nothing to say any more
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_int_equal(counted(&place, QUEUE_DELIVERY_GIVEN_UP), 2);
    assert_int_equal(counted(&place, QUEUE_DELIVERY_WAITING) + counted(&place, QUEUE_DELIVERY_SENDING), 1);
    place_close(&place);
}

static void what_is_obsolete_waits_again_when_it_holds_after_all(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    add_to(&place, "first", "", "topic", "1");
    add_to(&place, "second", "", "topic", "2");
    assert_ok(delivery_obsolete(&place, "topic", ""), place.err);
    assert_null(claim(&place, T0, &next_ns));
    assert_ok(delivery_again(&place, "topic", "2"), place.err);
    assert_claims(&place, T0, "second");
    assert_null(claim(&place, T0, &next_ns));
    assert_ok(delivery_again(&place, "topic", "2"), place.err); // it was sent
    assert_null(claim(&place, T0, &next_ns));
    place_close(&place);
}

static void what_a_target_may_know_is_what_it_took_or_did_not_answer(void **state)
{
    struct place place;
    int64_t next_ns;
    (void)state;
    place_open(&place);
    add_to(&place, "k", "", "topic", "1");
    struct queue_delivery *delivery = claim(&place, T0, &next_ns);
    assert_true(delivery->state == QUEUE_DELIVERY_SENDING && queue_delivery_may_be_known(delivery));
    assert_ok(delivery_failed(&place, delivery, QUEUE_NOT_TAKEN, T0), place.err);
    assert_false(queue_delivery_may_be_known(list_one(&place, QUEUE_DELIVERY_WAITING)));
    delivery = claim(&place, T0 + CLOCK_SECOND, &next_ns);
    assert_ok(delivery_failed(&place, delivery, QUEUE_UNCERTAIN, T0 + CLOCK_SECOND), place.err);
    delivery = claim(&place, T0 + 60 * CLOCK_SECOND, &next_ns);
    assert_ok(delivery_failed(&place, delivery, QUEUE_NOT_TAKEN, T0 + 60 * CLOCK_SECOND), place.err);
    assert_true(queue_delivery_may_be_known(list_one(&place, QUEUE_DELIVERY_WAITING)));
    place_close(&place);
}

// Whose sender vanished may have been heard, and so may one whose answer was to something else: what takes it back has
// to go there too.
static void what_ended_without_its_answer_may_be_known(void **state)
{
    struct place place;
    int64_t next_ns, now_ns = T0 + LEASE;
    (void)state;
    place_open(&place);
    add_to(&place, "vanished", "", "topic", "1");
    assert_non_null(claim(&place, T0, &next_ns));
    struct queue_delivery *delivery = claim(&place, now_ns, &next_ns);
    assert_true(delivery->uncertain);
    assert_ok(delivery_failed(&place, delivery, QUEUE_NOT_TAKEN, now_ns), place.err);
    assert_true(queue_delivery_may_be_known(list_one(&place, QUEUE_DELIVERY_WAITING)));
    assert_claims(&place, now_ns + 600 * CLOCK_SECOND, "vanished");
    now_ns += 600 * CLOCK_SECOND;
    add_to(&place, "misanswered", "", "topic", "2");
    assert_ok(delivery_failed(&place, claim(&place, now_ns, &next_ns), QUEUE_MISANSWERED, now_ns), place.err);
    assert_true(queue_delivery_may_be_known(list_one(&place, QUEUE_DELIVERY_WAITING)));
    place_close(&place);
}

static size_t count_of(struct place *place, const char *study)
{
    struct queue_delivery *deliveries;
    size_t count;
    int64_t total;
    const struct queue_delivery_filter filter = {.state = QUEUE_DELIVERY_WAITING, .study = study};
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(queue_delivery_list(db, ACCESS_ALL, &filter, 10, &place->arena, &deliveries, &count, &place->err),
              place->err);
    assert_ok(queue_delivery_total(db, ACCESS_ALL, &filter, &total, &place->err), place->err);
    store_read_end(place->store, db);
    assert_int_equal(total, count);
    return count;
}

// As a program of before kept them: of a message the sequence has the study, of a document its job or its topic.
static bool write_older(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err,
                   "INSERT INTO job (key, kind, study, series, model, input, state, priority, created_ns)"
                   " VALUES (?, 'model', '1.2.4', '', '', '', 0, 0, 0)",
                   "t", RESULT_B) &&
           sql_run(db, err,
                   "INSERT INTO delivery (key, target, kind, subject, payload, sequence, topic, batch, state,"
                   " created_ns, next_ns) VALUES ('a', 'ris', 'hl7', 'm', '', 'study 1.2.3', 't1', ?1, 0, 0, 0),"
                   " ('b', 'pacs', 'dicom', '2.25.1', '', 't1 documents', 't1', ?1, 0, 0, 0),"
                   " ('c', 'pacs', 'dicom', '2.25.2', '', '', 't2', ?2, 0, 0, 0)",
                   "tt", RESULT_A " 0 current", RESULT_B " 1 current") &&
           sql_run(db, err,
                   "INSERT INTO delivery_target (kind, target, added) VALUES ('hl7', 'ris', 1), ('dicom', 'pacs', 2)",
                   "");
}

static void deliveries_are_listed_by_study_those_of_an_older_program_too(void **state)
{
    struct place place = {0};
    const char *steps[16] = {NULL};
    (void)state;
    for (size_t i = 0; queue_migration.steps[i + 1]; i++)
        steps[i] = strstr(queue_migration.steps[i], "delivery_study") ? NULL : queue_migration.steps[i];
    const struct store_migration older = {.room = "queue", .steps = steps};
    const struct store_migration *const rooms[] = {&access_migration, &older, NULL};
    folder_make(place.folder, sizeof place.folder);
    arena_init(&place.arena, 64 << 20);
    place.store = open_store(place.folder, rooms, &place.err);
    assert_ok(place.store && store_write(place.store, STORE_DURABLE, write_older, NULL, &place.err), place.err);
    place_reopen(&place);
    assert_int_equal(count_of(&place, "1.2.3"), 2);
    assert_int_equal(count_of(&place, "1.2.4"), 1);
    assert_int_equal(count_of(&place, "1.2"), 0);
    assert_int_equal(count_of(&place, NULL), 3);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM delivery WHERE result = '" RESULT_B "' AND key = 'c'"), 1);
    place_close(&place);
}

// ---- who does not see a study

static const struct access_scope nobody = {.hidden = ACCESS_LABELS_ALL};

struct hidden_word {
    struct access_scope scope;
    int64_t id; // of the hidden study's delivery
    int64_t count;
    bool label; // the study gets one; else the word is said
};

static bool write_hidden_word(struct database *db, void *payload, struct error *err)
{
    bool changed;
    struct hidden_word *word = payload;
    if (word->label)
        return access_study_label(db, "9.9", "vip", &changed, err);
    return queue_delivery_give_up_target(db, word->scope, "dicom", "pacs", "gone", &word->count, err);
}

static bool write_word_of_one(struct database *db, void *payload, struct error *err)
{
    struct hidden_word *word = payload;
    return queue_delivery_give_up(db, word->scope, word->id, "gone", err);
}

static bool write_replay_of_one(struct database *db, void *payload, struct error *err)
{
    struct hidden_word *word = payload;
    return queue_delivery_replay(db, word->scope, word->id, T0, err);
}

static size_t seen(struct place *place, struct access_scope scope, const char *study, enum queue_delivery_state state)
{
    struct queue_delivery *deliveries;
    const struct queue_delivery_filter filter = {.state = state, .study = study};
    size_t count;
    int64_t total;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db && queue_delivery_list(db, scope, &filter, 10, &place->arena, &deliveries, &count, &place->err) &&
                  queue_delivery_total(db, scope, &filter, &total, &place->err),
              place->err);
    store_read_end(place->store, db);
    assert_int_equal(total, count);
    return count;
}

static void who_does_not_see_a_study_neither_lists_nor_ends_nor_replays_what_is_of_it(void **state)
{
    struct place place;
    struct hidden_word word = {.scope = nobody, .label = true};
    (void)state;
    place_open(&place);
    assert_true(delivery_add_row(
        &place, &(struct queue_delivery){.key = "a", .kind = "dicom", .target = "pacs", .study = "1.1"}, T0));
    assert_true(delivery_add_row(
        &place, &(struct queue_delivery){.key = "b", .kind = "dicom", .target = "pacs", .study = "9.9"}, T0));
    assert_ok(store_write(place.store, STORE_DURABLE, write_hidden_word, &word, &place.err), place.err);
    assert_int_equal(seen(&place, ACCESS_ALL, NULL, QUEUE_DELIVERY_WAITING), 2);
    assert_int_equal(seen(&place, nobody, NULL, QUEUE_DELIVERY_WAITING), 1);
    assert_int_equal(seen(&place, ACCESS_ALL, "9.9", QUEUE_DELIVERY_WAITING), 1);
    assert_int_equal(seen(&place, nobody, "9.9", QUEUE_DELIVERY_WAITING), 0);
    word.label = false;
    word.id = place_int(&place, "SELECT id FROM delivery WHERE key = 'b'");
    store_write_fn *const ways[] = {write_word_of_one, write_replay_of_one};
    for (size_t i = 0; i < 2; i++) {
        assert_false(store_write(place.store, STORE_DURABLE, ways[i], &word, &place.err));
        assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    }
    assert_ok(store_write(place.store, STORE_DURABLE, write_hidden_word, &word, &place.err), place.err);
    assert_int_equal(word.count, 1);
    assert_int_equal(seen(&place, ACCESS_ALL, "9.9", QUEUE_DELIVERY_WAITING), 1); // it stays as it was
    word.scope = ACCESS_ALL;
    assert_ok(store_write(place.store, STORE_DURABLE, write_hidden_word, &word, &place.err), place.err);
    assert_int_equal(seen(&place, ACCESS_ALL, NULL, QUEUE_DELIVERY_GIVEN_UP), 2);
    assert_int_equal(seen(&place, nobody, NULL, QUEUE_DELIVERY_GIVEN_UP), 1);
    place_close(&place);
}

int test_outbox(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivery_is_made_once_per_key),
        cmocka_unit_test(deliveries_are_counted_by_target_and_state_with_the_age_of_the_oldest),
        cmocka_unit_test(deliveries_are_listed_by_study_those_of_an_older_program_too),
        cmocka_unit_test(failures_back_off_to_a_minute_and_never_end),
        cmocka_unit_test(a_target_that_is_down_is_asked_once_per_back_off_and_holds_up_no_other),
        cmocka_unit_test(a_sender_that_vanished_is_replaced_and_fenced_off),
        cmocka_unit_test(refusals_end_in_the_dead_list_and_a_person_may_replay),
        cmocka_unit_test(a_failure_holds_up_what_follows_in_its_sequence_and_nothing_else),
        cmocka_unit_test(what_is_damaged_is_dead_at_once_and_holds_up_no_other),
        cmocka_unit_test(what_is_obsolete_is_never_sent_and_cannot_be_replayed),
        cmocka_unit_test(what_is_given_up_is_not_sent_holds_up_no_other_and_comes_back_by_a_replay_alone),
        cmocka_unit_test(all_of_a_target_are_given_up_or_sent_again_at_once_and_no_other_s),
        cmocka_unit_test(who_does_not_see_a_study_neither_lists_nor_ends_nor_replays_what_is_of_it),
        cmocka_unit_test(what_is_obsolete_waits_again_when_it_holds_after_all),
        cmocka_unit_test(what_ended_without_its_answer_may_be_known),
        cmocka_unit_test(what_a_target_may_know_is_what_it_took_or_did_not_answer),
    };
    return cmocka_run_group_tests_name("queue: outbox", tests, NULL, NULL);
}
