// Looks that give no answer, in part or as a whole, late, or to targets that never knew: what stands, and who hears of
// it, with the real model on synthetic heads.
#include "support.h"

#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "flow/internal.h"

static void a_newer_look_that_fails_takes_no_positive_back(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .to = 49}, AT(0));
    ground_work_for_real(&g);
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 50}, AT(30)); // a gap
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].outcome, FINDING_POSITIVE);
    assert_int_equal(results[0].standing, FINDING_CURRENT);
    assert_int_equal(results[1].outcome, FINDING_NOT_ANALYSED);
    assert_int_equal(results[1].standing, FINDING_CURRENT);
    ground_close(&g);
}

// A record that keeps the last message of a filler number has the positive in it, however often it is looked at in
// vain.
static void a_look_without_an_answer_says_again_what_stands(void **state)
{
    struct ground g;
    size_t count;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 46});
    for (int look = 0; look < 2; look++) {
        ground_send_head(&g, &(struct head){.bleed = 22, .from = 49 + look, .to = 50 + look},
                         AT(30 + 30 * look)); // a gap
        ground_work_for_real(&g);
        const struct finding_result *last = ground_newest(&g);
        assert_int_equal(last->outcome, FINDING_NOT_ANALYSED);
        struct queue_delivery *list = ground_deliveries(&g, last->topic, &count);
        while (count > 0 && strcmp(list[count - 1].kind, "hl7") != 0)
            count--;
        assert_true(count > 0);
        const char *text = ground_message_in(&g, &list[count - 1], "R");
        assert_non_null(strstr(text, "This was said of an earlier look, and stands. The newer look: not analysed: "));
        assert_non_null(strstr(text, "|121071^Finding^DCM|1|"));
        assert_null(strstr(text, "|X|"));
        ground_deliver_all(&g);
        ground_step(&g, AT(45 + 30 * look));
        assert_int_equal(ground_count(&g, "hl7"), 2 + look); // that has said it
    }
    ground_close(&g);
}

static void a_negative_of_too_little_is_none(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.from = 10, .to = 28}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NOT_ANALYSED);
    assert_string_equal(ground_only_job(&g)->outcome, "not analysed");
    assert_true(ground_newest(&g)->told); // and it is not held back as a negative is
    ground_close(&g);
}

static bool claim_job(struct database *db, void *payload, struct error *err)
{
    struct flow_work *work = payload;
    return queue_job_claim(db, FLOW_JOB_MODEL, AT(10), 3600 * CLOCK_SECOND, &work->arena, &work->job, err);
}

static bool raise_version(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return flow_series_complete(db, "1.2.3", "1.2.3.1", 2, err);
}

// A flow_work as the worker makes it, of the one job there is.
static void begin_work(struct ground *g, struct flow_work *work, size_t header_memory)
{
    arena_init(&work->arena, 16 << 20);
    arena_init(&work->header_arena, header_memory);
    work->flow = g->flow;
    work->package = model_packages_find(g->packages, "one");
    work->digest = model_package_digest(work->package);
    work->after = "";
    assert_ok(store_write(g->store, STORE_DURABLE, claim_job, work, &g->err) && work->job, g->err);
    work->key = work->job->key;
    memcpy(work->inputs_key, work->job->key, sizeof work->inputs_key - 1);
    assert_ok(flow_input_look(work, &work->objects, &work->count, &g->err), g->err);
}

static void end_work(struct flow_work *work)
{
    flow_results_drop(work);
    model_package_close(work->package);
    arena_free(&work->header_arena);
    arena_free(&work->arena);
}

// A series that gets a new version just when the job of the old one ends: were it to end, older results would take the
// place of newer ones.
static void a_job_does_not_end_on_a_version_that_is_not_the_present_one(void **state)
{
    static const struct flow_rule rule = {.name = "r", .model = "one"};
    static const struct flow_rule *rules[] = {&rule};
    struct ground g;
    struct flow_work work = {.rules = rules, .rule_count = 1};
    struct finding_result *results;
    (void)state;
    ground_open(&g, (const char *const[]){"one", NULL}, "{\"name\":\"r\",\"model\":\"one\"}");
    ground_put_series(&g, &(struct slice){0}, 3, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(3));
    begin_work(&g, &work, FLOW_HEADERS_MAX);
    assert_ok(flow_results_unreadable(&work, "it cannot be read", &g.err), g.err);
    assert_ok(store_write(g.store, STORE_DURABLE, raise_version, NULL, &g.err), g.err);
    work.version = 1; // the look that keep takes itself came before
    assert_false(flow_results_end(&work, &g.err));
    assert_int_equal(g.err.code, ERROR_BUSY);
    assert_true(flow_is_passing(g.err.code)); // so the job is tried again
    assert_int_equal(ground_results(&g, "1.2.3", &results), 0);
    end_work(&work);
    ground_close(&g);
}

static void headers_past_the_memory_of_a_look_are_no_answer_that_says_how_many_there_are(void **state)
{
    static const struct flow_rule rule = {.name = "r", .model = "one"};
    static const struct flow_rule *rules[] = {&rule};
    static const char due[] = "the series has 8 objects, and ";
    struct ground g;
    struct flow_work work = {.rules = rules, .rule_count = 1};
    struct finding_result *results;
    (void)state;
    ground_open(&g, (const char *const[]){"one", NULL}, "{\"name\":\"r\",\"model\":\"one\"}");
    ground_put_series(&g, &(struct slice){0}, 8, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(3));
    begin_work(&g, &work, FLOW_HEADERS_MAX);
    assert_ok(flow_input_read(&work, &g.err), g.err);
    size_t half = work.header_arena.used / 2;
    arena_free(&work.header_arena);
    arena_init(&work.header_arena, half);
    assert_false(flow_input_read(&work, &g.err));
    assert_int_equal(g.err.code, ERROR_LIMIT);
    assert_memory_equal(g.err.message, due, strlen(due));
    long fit = strtol(g.err.message + strlen(due), NULL, 10);
    assert_in_range(fit, 1, 7);
    assert_non_null(strstr(g.err.message, "bytes of memory"));
    assert_null(flow_input_header(&work));
    assert_ok(flow_results_unreadable(&work, g.err.message, &g.err) && flow_results_keep(&work, &g.err), g.err);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 1);
    assert_int_equal(results[0].outcome, FINDING_NOT_ANALYSED);
    assert_memory_equal(results[0].reason, due, strlen(due));
    end_work(&work);
    ground_close(&g);
}

static void what_may_pass_is_tried_again_and_what_fails_the_same_way_is_not(void **state)
{
    (void)state;
    assert_true(flow_is_passing(ERROR_FULL) && flow_is_passing(ERROR_BUSY) && flow_is_passing(ERROR_IO) &&
                flow_is_passing(ERROR_MEMORY) && flow_is_passing(ERROR_CANCELLED));
    assert_false(flow_is_passing(ERROR_BAD_DATA) || flow_is_passing(ERROR_BAD_VALUE) || flow_is_passing(ERROR_LIMIT) ||
                 flow_is_passing(ERROR_CONFLICT) || flow_is_passing(ERROR_UNSUPPORTED));
}

// The newest delivery of a topic to a target that is not obsolete; NULL: none.
static struct queue_delivery *newest_to(struct ground *g, const char *topic, const char *kind, const char *target)
{
    size_t count;
    struct queue_delivery *list = ground_deliveries(g, topic, &count), *last = NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].kind, kind) == 0 && strcmp(list[i].target, target) == 0 &&
            list[i].state != QUEUE_DELIVERY_OBSOLETE)
            last = &list[i];
    return last;
}

static size_t notes_to(struct ground *g, const char *topic, const char *target)
{
    size_t count, notes = 0;
    struct queue_delivery *list = ground_deliveries(g, topic, &count);
    for (size_t i = 0; i < count; i++)
        notes += strcmp(list[i].target, target) == 0 && *list[i].payload == '[';
    return notes;
}

// What others were told is not told to it: it gets no note on what it never had, and its first message corrects none.
static void a_target_that_is_named_later_hears_of_nothing_before(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 51});
    ground_rule(&g, "{\"name\":\"" GROUND_HEAD_MODEL "\",\"model\":\"" GROUND_HEAD_MODEL
                    "\",\"send_to\":[\"pacs\",\"later\"],\"hl7_to\":[\"ris\",\"his\"]}");
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 51}, AT(30));
    ground_work_for_real(&g);
    const char *topic = ground_newest(&g)->topic;
    assert_int_equal(notes_to(&g, topic, "pacs"), 1);
    assert_int_equal(notes_to(&g, topic, "later"), 0);
    assert_string_equal(ground_class_of(&g, newest_to(&g, topic, "dicom", "later")->subject), SR);
    assert_non_null(strstr(ground_message_in(&g, newest_to(&g, topic, "hl7", "ris"), "F"), "|C\r"));
    assert_null(strstr(ground_message_in(&g, newest_to(&g, topic, "hl7", "his"), "F"), "|C\r"));
    ground_close(&g);
}

static void a_look_without_an_answer_tells_nobody_that_a_positive_is_gone(void **state)
{
    struct ground g;
    struct finding_result *results;
    size_t count;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 49});
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 50}, AT(30)); // a gap
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].outcome, FINDING_POSITIVE);
    assert_int_equal(results[1].outcome, FINDING_NOT_ANALYSED);
    assert_string_equal(results[0].topic, results[1].topic);
    ground_deliveries(&g, results[0].topic, &count);
    assert_int_equal(count, 4); // SEG, SR and message as before; and another message, for the record knows the first
    assert_int_equal(notes_to(&g, results[0].topic, "pacs"), 0);
    assert_null(strstr(ground_message_as(&g, "F"), "|D|"));
    ground_close(&g);
}

static void a_look_without_an_answer_holds_back_no_positive_that_waits_to_be_sent(void **state)
{
    struct ground g;
    struct finding_result *results;
    size_t count;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .to = 49}, AT(0));
    ground_work_for_real(&g);
    for (int gap = 50; gap <= 51; gap++) {
        ground_send_head(&g, &(struct head){.bleed = 22, .from = gap, .to = gap + 1}, AT(30 * (gap - 49)));
        ground_work_for_real(&g);
    }
    assert_int_equal(ground_results(&g, "1.2.3", &results), 3);
    assert_int_equal(results[0].outcome, FINDING_POSITIVE);
    struct queue_delivery *list = ground_deliveries(&g, results[0].topic, &count);
    assert_int_equal(count, 3); // SEG, SR and message of the positive
    for (size_t i = 0; i < count; i++)
        assert_int_equal(list[i].state, QUEUE_DELIVERY_WAITING);
    ground_close(&g);
}

// Of a volume that was told apart then; now the series as a whole is not fit.
static void a_look_without_an_answer_of_the_whole_takes_back_no_positive_of_a_part(void **state)
{
    struct ground g;
    struct finding_result *results;
    size_t count;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_put_head(&g, &(struct head){.bleed = 22, .acquisition = 1}, AT(0));
    ground_send_head(&g, &(struct head){.bleed = 22, .acquisition = 2, .instances = "1.2.3.1.9"}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].outcome, FINDING_POSITIVE);
    ground_deliver_all(&g);
    ground_put(&g, &(struct slice){.number = 500, .frames = 2}, AT(30));
    ground_end(&g, "SCANNER", AT(30));
    ground_step(&g, AT(33));
    ground_work_for_real(&g);
    ground_step(&g, AT(40));
    assert_int_equal(ground_results(&g, "1.2.3", &results), 3);
    assert_int_equal(results[2].outcome, FINDING_NOT_ANALYSED);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(results[i].standing, FINDING_CURRENT);
        ground_deliveries(&g, results[i].topic, &count);
        assert_int_equal(count, 4); // SEG, SR and message, as before; and that it is of earlier images
        assert_null(strstr(ground_message_of(&g, results[i].topic, "F"), "|D|"));
    }
    ground_close(&g);
}

// The other volume's answer is none to it.
static void a_volume_that_gets_no_answer_keeps_its_positive_though_another_is_negative(void **state)
{
    struct ground g;
    struct finding_result *results;
    size_t count;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_put_head(&g, &(struct head){.bleed = 22, .acquisition = 1, .to = 49}, AT(0));
    ground_send_head(&g, &(struct head){.acquisition = 2, .instances = "1.2.3.1.9"}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].outcome, FINDING_POSITIVE);
    assert_int_equal(results[1].outcome, FINDING_NEGATIVE);
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.bleed = 22, .acquisition = 1, .from = 50}, AT(30)); // a gap
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 4);
    assert_int_equal(results[0].standing, FINDING_CURRENT);
    assert_int_equal(results[1].standing, FINDING_REPLACED);
    ground_deliveries(&g, results[0].topic, &count);
    assert_int_equal(count, 4); // SEG, SR and message as before; and that this look had no answer
    assert_int_equal(notes_to(&g, results[0].topic, "pacs"), 0);
    ground_close(&g);
}

// The images of the newer look are not fit, and a report would cite them.
static void a_positive_that_stands_after_a_look_without_an_answer_is_taken_back_when_a_reader_rejects_it(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 49});
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 50}, AT(200)); // a gap
    ground_work_for_real(&g);
    ground_deliver_all(&g);
    ground_judge(&g, FINDING_REJECTED, AT(300));
    const char *topic = ground_newest(&g)->topic;
    assert_int_equal(notes_to(&g, topic, "pacs"), 1);
    assert_int_equal(ground_count(&g, "dicom"), 3); // no new report
    assert_string_equal(ground_result(&g, 0)->sr_instance, "");
    assert_string_equal(ground_result(&g, 0)->seg_instance, "");
    assert_non_null(strstr(ground_message_as(&g, "F"), "|D|"));
    assert_non_null(strstr(ground_message_as(&g, "F"), "A reviewer rejected all that was found"));
    ground_deliver_all(&g);
    ground_judge(&g, FINDING_ACCEPTED, AT(400));
    assert_int_equal(ground_count(&g, "dicom"), 3);
    assert_non_null(strstr(ground_message_as(&g, "F"), "|121071^Finding^DCM|1|"));
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 49, .to = 50}, AT(500));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_POSITIVE);
    assert_int_equal(ground_count(&g, "dicom"), 5); // its own SEG and SR
    ground_close(&g);
}

static void a_note_rejects_no_note(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22});
    ground_judge(&g, FINDING_REJECTED, AT(100));
    ground_deliver_all(&g);
    ground_judge(&g, FINDING_ACCEPTED, AT(200));
    size_t count;
    struct queue_delivery *list = ground_deliveries(&g, ground_newest(&g)->topic, &count), *notes[2] = {0};
    for (size_t i = 0, n = 0; i < count; i++)
        if (*list[i].payload == '[' && n < 2)
            notes[n++] = &list[i];
    assert_true(notes[0] && notes[1]);
    assert_null(strstr(notes[1]->payload, notes[0]->subject));
    ground_close(&g);
}

static bool read_hold(struct ground *g, int64_t *not_before_ns)
{
    bool found = false;
    struct database *db = store_read_begin(g->store, &g->err);
    assert_ok(db && sql_get_int(db, &g->err, not_before_ns, &found, "SELECT not_before_ns FROM flow_hold", ""), g->err);
    store_read_end(g->store, db);
    return found;
}

static bool move_hold(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "UPDATE flow_hold SET not_before_ns=?1", "i", *(const int64_t *)payload);
}

// The sender says how many there are, and not all have come: they may be what is positive.
static void a_negative_waits_for_images_that_were_announced(void **state)
{
    struct ground g;
    int64_t begun_ns = clock_now_ns(), not_before_ns, until_ns = AT(600);
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.announced = GROUND_HEAD_SLICES + 8}, AT(0));
    ground_work_for_real(&g); // by the clock on the wall
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NEGATIVE);
    assert_true(read_hold(&g, &not_before_ns));
    assert_true(not_before_ns >= begun_ns + FLOW_ANNOUNCED_NS);
    assert_ok(store_write(g.store, STORE_DURABLE, move_hold, &until_ns, &g.err), g.err); // to that of the test
    ground_step(&g, AT(599));
    ground_work_for_real(&g);
    assert_false(ground_newest(&g)->told);
    ground_step(&g, AT(600));
    ground_work_for_real(&g);
    assert_true(ground_newest(&g)->told);
    ground_close(&g);
}

int test_looks(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_newer_look_that_fails_takes_no_positive_back),
        cmocka_unit_test(a_look_without_an_answer_says_again_what_stands),
        cmocka_unit_test(a_negative_of_too_little_is_none),
        cmocka_unit_test(headers_past_the_memory_of_a_look_are_no_answer_that_says_how_many_there_are),
        cmocka_unit_test(a_job_does_not_end_on_a_version_that_is_not_the_present_one),
        cmocka_unit_test(what_may_pass_is_tried_again_and_what_fails_the_same_way_is_not),
        cmocka_unit_test(a_target_that_is_named_later_hears_of_nothing_before),
        cmocka_unit_test(a_look_without_an_answer_tells_nobody_that_a_positive_is_gone),
        cmocka_unit_test(a_look_without_an_answer_holds_back_no_positive_that_waits_to_be_sent),
        cmocka_unit_test(a_look_without_an_answer_of_the_whole_takes_back_no_positive_of_a_part),
        cmocka_unit_test(a_volume_that_gets_no_answer_keeps_its_positive_though_another_is_negative),
        cmocka_unit_test(a_positive_that_stands_after_a_look_without_an_answer_is_taken_back_when_a_reader_rejects_it),
        cmocka_unit_test(a_note_rejects_no_note),
        cmocka_unit_test(a_negative_waits_for_images_that_were_announced),
    };
    return cmocka_run_group_tests_name("looks", tests, NULL, NULL);
}
