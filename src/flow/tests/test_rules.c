// Rules: what they ask of a series, and what they do.
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const two_models[] = {"one", "two", NULL};
// Slices of a new study come, the association ends, the quiet passes.
static void send_series(struct ground *g, const struct slice *like, int count)
{
    static int series_number = 100;
    static char study[32], series[32];
    struct slice slice = *like;
    snprintf(study, sizeof study, "1.2.%d", ++series_number);
    snprintf(series, sizeof series, "1.2.%d.1", series_number);
    slice.study = study;
    slice.series = series;
    ground_put_series(g, &slice, count, AT(series_number * 10));
    ground_end(g, slice.calling ? slice.calling : "SCANNER", AT(series_number * 10));
    ground_step(g, AT(series_number * 10 + 3));
}

struct condition {
    const char *rule; // its members
    struct slice yes, no;
};

static const struct condition conditions[] = {
    {"\"modality\":\"CT\"", {.modality = "CT"}, {.modality = "MR"}},
    {"\"body_part\":\"HEAD\"", {.body_part = "Head"}, {.body_part = "CHEST"}},
    {"\"body_part\":\"HEAD\"", {.body_part = "X", .description = "CT head 1.5"}, {.body_part = "X"}},
    {"\"description\":\"trauma\"", {.description = "CT trauma"}, {.description = "Traumatic past"}},
    {"\"body_part\":\"HEAD\"", {.body_part = "SKULL"}, {.body_part = "HIP", .description = "femoral head"}},
    {"\"description\":\"trauma\"", {.study_description = "TRAUMA"}, {0}},
    {"\"calling\":\"CT1\"", {.calling = "CT1"}, {.calling = "CT12"}},
};

static void each_condition_is_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct condition *condition = &conditions[i];
        struct ground g;
        struct queue_job *jobs;
        char rule[256];
        ground_open(&g, two_models, NULL);
        snprintf(rule, sizeof rule, "{\"name\":\"r\",\"model\":\"one\",%s%s}", condition->rule,
                 strstr(condition->rule, "modality") ? "" : ",\"modality\":\"CT\"");
        ground_rule(&g, rule);
        send_series(&g, &condition->no, 3);
        if (ground_jobs(&g, &jobs) != 0)
            fail_msg("%s holds for a series for which it must not", condition->rule);
        send_series(&g, &condition->yes, 3);
        if (ground_jobs(&g, &jobs) != 1)
            fail_msg("%s does not hold for a series for which it must", condition->rule);
        ground_close(&g);
    }
}

static void rule_that_asks_nothing_takes_all_and_a_disabled_one_none(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, two_models, NULL);
    ground_rule(&g, "{\"name\":\"r\",\"model\":\"one\",\"enabled\":false}");
    send_series(&g, &(struct slice){.modality = "MR"}, 1);
    assert_int_equal(ground_jobs(&g, &jobs), 0);
    ground_rule(&g, "{\"name\":\"r\",\"model\":\"one\"}");
    send_series(&g, &(struct slice){.modality = "MR"}, 1);
    assert_int_equal(ground_jobs(&g, &jobs), 1);
    ground_close(&g);
}

static void rules_are_edited_and_removed_without_a_restart(void **state)
{
    struct ground g;
    struct flow_rule *rules;
    struct queue_job *jobs;
    size_t count;
    (void)state;
    ground_open(&g, two_models, NULL);
    ground_rule(&g, "{\"name\":\"r\",\"model\":\"one\",\"modality\":\"MR\"}");
    send_series(&g, &(struct slice){0}, 1);
    assert_int_equal(ground_jobs(&g, &jobs), 0);
    ground_rule(&g, "{\"name\":\"r\",\"model\":\"two\",\"modality\":\"CT\"}");
    assert_ok(flow_rule_list(g.store, &g.arena, &rules, &count, &g.err), g.err);
    assert_int_equal(count, 1);
    assert_int_equal(rules[0].version, 2);
    send_series(&g, &(struct slice){0}, 1);
    assert_string_equal(ground_only_job(&g)->model, "two 1");
    assert_ok(flow_rule_remove(g.store, g.access, "r", "test", &g.err), g.err);
    send_series(&g, &(struct slice){0}, 1);
    ground_only_job(&g);
    assert_false(flow_rule_remove(g.store, g.access, "r", "test", &g.err));
    assert_int_equal(g.err.code, ERROR_NOT_FOUND);
    ground_close(&g);
}

static void the_same_rule_again_raises_no_version_and_tells_nobody(void **state)
{
    struct ground g;
    struct flow_rule *rules;
    size_t count;
    (void)state;
    ground_open(&g, two_models, NULL);
    ground_rule(&g, "{\"name\":\"r\",\"model\":\"one\"}");
    uint64_t last = store_event_last(g.store);
    ground_rule(&g, "{\"name\":\"r\",\"model\":\"one\",\"version\":1}");
    assert_ok(flow_rule_list(g.store, &g.arena, &rules, &count, &g.err), g.err);
    assert_int_equal(rules[0].version, 1);
    assert_int_equal(store_event_last(g.store), last);
    ground_close(&g);
}

static void a_change_made_from_an_older_version_is_refused(void **state)
{
    struct ground g;
    struct flow_rule rule = {.name = "r", .enabled = true, .model = "one"};
    (void)state;
    ground_open(&g, two_models, NULL);
    assert_ok(flow_rule_put(g.store, g.access, &rule, "test", &g.err), g.err);
    assert_int_equal(rule.version, 1);
    struct flow_rule mine = rule, theirs = rule;
    theirs.slices_min = 5;
    assert_ok(flow_rule_put(g.store, g.access, &theirs, "test", &g.err), g.err);
    assert_int_equal(theirs.version, 2);
    mine.slices_min = 7;
    assert_false(flow_rule_put(g.store, g.access, &mine, "test", &g.err));
    assert_int_equal(g.err.code, ERROR_CONFLICT);
    theirs.version = 1; // the answer was lost, and it is sent again
    assert_ok(flow_rule_put(g.store, g.access, &theirs, "test", &g.err), g.err);
    assert_int_equal(theirs.version, 2);
    mine.version = 0; // whatever is there
    assert_ok(flow_rule_put(g.store, g.access, &mine, "test", &g.err), g.err);
    assert_int_equal(mine.version, 3);
    assert_ok(flow_rule_remove(g.store, g.access, "r", "test", &g.err), g.err);
    mine.slices_min = 8;
    assert_false(flow_rule_put(g.store, g.access, &mine, "test", &g.err)); // that one is no more
    mine.version = 0;
    assert_ok(flow_rule_put(g.store, g.access, &mine, "test", &g.err), g.err);
    assert_int_equal(mine.version, 4);
    ground_close(&g);
}

static void two_rules_with_one_model_are_one_job_with_the_targets_of_both(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, two_models, NULL);
    ground_rule(&g, "{\"name\":\"a\",\"model\":\"one\",\"send_to\":[\"pacs\"],\"hl7_to\":[\"ris\"],\"priority\":1}");
    ground_rule(&g, "{\"name\":\"b\",\"model\":\"one\",\"send_to\":[\"pacs\",\"second\"],\"priority\":9}");
    send_series(&g, &(struct slice){0}, 1);
    assert_int_equal(ground_only_job(&g)->priority, 9);
    ground_work(&g);
    struct finding_result *result;
    assert_int_equal(ground_results(&g, ground_only_job(&g)->study, &result), 1);
    assert_string_equal(result->send_to, "[\"pacs\",\"second\"]");
    assert_string_equal(result->hl7_to, "[\"ris\"]");
    ground_close(&g);
}

static void two_rules_with_two_models_are_two_jobs(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, two_models, NULL);
    ground_rule(&g, "{\"name\":\"a\",\"model\":\"one\"}");
    ground_rule(&g, "{\"name\":\"b\",\"model\":\"two\"}");
    send_series(&g, &(struct slice){0}, 1);
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_string_not_equal(jobs[0].key, jobs[1].key);
    ground_close(&g);
}

static void rule_for_a_model_that_is_not_installed_makes_a_job_that_says_so_and_keeps_no_other_away(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, two_models, NULL);
    ground_rule(&g, "{\"name\":\"a\",\"model\":\"gone\"}");
    ground_rule(&g, "{\"name\":\"b\",\"model\":\"one\"}");
    send_series(&g, &(struct slice){0}, 1);
    ground_work(&g);
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_string_equal(jobs[0].model, "gone");
    assert_int_equal(jobs[0].state, QUEUE_JOB_SKIPPED);
    assert_string_equal(jobs[0].reason, "model gone is not installed");
    assert_string_equal(jobs[1].model, "one 1");
    ground_close(&g);
}

#define NAME_OF_64 "n23456789-123456789-123456789-123456789-123456789-123456789-1234"

static const struct {
    const char *json;
    const char *named; // in the message
} unfit[] = {
    {"{\"name\":\"r\",\"model\":\"one\",\"modalty\":\"CT\"}", "modalty"},
    {"{\"name\":\"r\"}", "model"},
    {"{\"model\":\"one\"}", "name"},
    {"{\"name\":\"a/b\",\"model\":\"one\"}", "a/b"},
    {"{\"name\":\"r\",\"model\":\"one\",\"slices_min\":-1}", "slices_min"},
    {"{\"name\":\"r\",\"model\":\"one\",\"slices_min\":2.5}", "slices_min"},
    {"{\"name\":\"r\",\"model\":\"one\",\"spacing_max_mm\":\"2\"}", "spacing_max_mm"},
    {"{\"name\":\"r\",\"model\":\"one\",\"spacing_max_mm\":-2}", "spacing_max_mm"},
    {"{\"name\":\"r\",\"model\":\"one\",\"enabled\":1}", "enabled"},
    {"{\"name\":\"r\",\"model\":\"one\",\"version\":\"1\"}", "version"},
    {"{\"name\":\"r\",\"model\":\"one\",\"version\":-1}", "version"},
    {"{\"name\":\"r\",\"model\":\"one\",\"modality\":\"ABCDEFGHIJKLMNOPQ\"}", "modality"},
    {"{\"name\":\"r\",\"model\":\"one\",\"send_to\":\"pacs\"}", "send_to"},
    {"{\"name\":\"r\",\"model\":\"one\",\"send_to\":[1]}", "send_to"},
    {"{\"name\":\"r\",\"model\":\"one\",\"send_to\":[\"\"]}", "send_to"},
    {"{\"name\":\"r\",\"model\":\"one\",\"send_to\":[\"a\\n\"]}", "send_to"},
    {"{\"name\":\"r\",\"model\":\"one\",\"description\":\"a\\r\\nb\"}", "description"},
    {"{\"name\":\"r\",\"model\":\"one\",\"hl7_to\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
     "'hl7_to' has 9 names, at most 8"},
    {"{\"name\":\"r\",\"model\":\"one\",\"send_to\":[\"" NAME_OF_64 "5\"]}",
     "'send_to' must be a list of names of at most 64"},
    {"{\"name\":\"r\",\"model\":\"one\",\"hl7_to\":[\"" NAME_OF_64 "5\"]}",
     "'hl7_to' must be a list of names of at most 64"},
    {"{\"name\":\"" NAME_OF_64 "5\",\"model\":\"one\"}", "'name' must be one line of text of at most 64"},
    {"{\"name\":\"r\",\"model\":\"" NAME_OF_64 "5\"}", "'model' must be one line of text of at most 64"},
    {"{\"name\":\"..\",\"model\":\"one\"}", "rule name '..'"},
};

static void unfit_rules_are_refused_by_the_name_of_the_member(void **state)
{
    struct ground g = {0};
    (void)state;
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        if (!ground_rule_refused(&g, unfit[i].json))
            fail_msg("taken: %s", unfit[i].json);
        if (!strstr(g.err.message, unfit[i].named))
            fail_msg("%s is refused with: %s", unfit[i].json, g.err.message);
    }
}

static void there_is_an_end_to_how_many_rules_are_kept(void **state)
{
    struct ground g;
    struct flow_rule rule = {.enabled = true, .model = "one"};
    bool ok = true;
    int count = 0;
    (void)state;
    ground_open(&g, two_models, NULL);
    for (; ok && count < 2000; count++) {
        snprintf(rule.name, sizeof rule.name, "r%d", count);
        rule.version = 0;
        ok = flow_rule_put(g.store, g.access, &rule, "test", &g.err);
    }
    assert_int_equal(g.err.code, ERROR_LIMIT);
    assert_int_equal(count, FLOW_ROWS_MAX + 1);
    ground_close(&g);
}

static void hl7_targets_are_checked_kept_and_removed(void **state)
{
    struct ground g;
    struct flow_hl7_target target, *targets;
    size_t count;
    (void)state;
    ground_open(&g, two_models, NULL);
    json_t *json =
        json_pack("{s:s, s:s, s:i, s:s}", "name", "ris", "host", "127.0.0.1", "port", 2575, "application", "RIS");
    assert_ok(flow_hl7_target_from_json(json, &target, &g.err), g.err);
    assert_ok(flow_hl7_target_put(g.store, g.access, &target, "test", &g.err), g.err);
    assert_ok(flow_hl7_target_list(g.store, &g.arena, &targets, &count, &g.err), g.err);
    assert_int_equal(count, 1);
    assert_int_equal(targets[0].port, 2575);
    assert_string_equal(targets[0].application, "RIS");
    assert_string_equal(targets[0].unsigned_status, "R");
    json_object_set_new(json, "port", json_integer(70000));
    assert_false(flow_hl7_target_from_json(json, &target, &g.err));
    json_object_set_new(json, "port", json_integer(2575));
    json_object_set_new(json, "unsigned_status", json_string("X"));
    assert_false(flow_hl7_target_from_json(json, &target, &g.err));
    json_decref(json);
    assert_ok(flow_hl7_target_remove(g.store, g.access, "ris", "test", &g.err), g.err);
    assert_ok(flow_hl7_target_list(g.store, &g.arena, &targets, &count, &g.err), g.err);
    assert_int_equal(count, 0);
    ground_close(&g);
}

// ---- labels

static void enter_label(struct ground *g, const char *name)
{
    struct access_label label = {0};
    snprintf(label.name, sizeof label.name, "%s", name);
    assert_ok(access_label_put(g->access, &label, "test", &g->err), g->err);
}

// Of the study that send_series sent last, as names.
static const char *labels_of(struct ground *g)
{
    static char text[128];
    struct store_event *events;
    struct access_study_labels has = {0};
    size_t count;
    struct database *db = store_read_begin(g->store, &g->err);
    assert_ok(db && store_event_read(db, 0, 10000, &g->arena, &events, &count, &g->err), g->err);
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == STORE_EVENT_SERIES_COMPLETE)
            assert_ok(access_study_labels(db, events[i].study, &has, &g->err), g->err);
    store_read_end(g->store, db);
    json_t *names = access_labels_to_json(g->access, has.labels);
    char *dumped = json_dumps(names, JSON_COMPACT);
    snprintf(text, sizeof text, "%s", dumped);
    free(dumped);
    json_decref(names);
    return text;
}

static void rules_that_match_give_the_study_their_labels_with_or_without_a_model(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, two_models, NULL);
    enter_label(&g, "vip");
    enter_label(&g, "staff");
    ground_rule(&g, "{\"name\":\"a\",\"labels\":[\"vip\"],\"calling\":\"CT1\"}");
    ground_rule(&g, "{\"name\":\"b\",\"labels\":[\"staff\"],\"model\":\"one\",\"modality\":\"CT\"}");
    ground_rule(&g, "{\"name\":\"c\",\"labels\":[\"vip\"],\"enabled\":false}");
    send_series(&g, &(struct slice){.modality = "CT"}, 3);
    assert_string_equal(labels_of(&g), "[\"staff\"]");
    send_series(&g, &(struct slice){.modality = "CT", .calling = "CT1"}, 3);
    assert_string_equal(labels_of(&g), "[\"staff\",\"vip\"]");
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    send_series(&g, &(struct slice){.modality = "MR"}, 3);
    assert_string_equal(labels_of(&g), "[]");
    ground_close(&g);
}

// Before anything is done for the series, and so before anything of it is delivered.
static void a_study_has_its_labels_when_its_job_is_there(void **state)
{
    struct ground g;
    struct store_event *events;
    size_t count, labelled = 0, queued = 0;
    (void)state;
    ground_open(&g, two_models, NULL);
    enter_label(&g, "vip");
    ground_rule(&g, "{\"name\":\"r\",\"labels\":[\"vip\"],\"model\":\"one\"}");
    send_series(&g, &(struct slice){.modality = "CT"}, 3);
    struct database *db = store_read_begin(g.store, &g.err);
    assert_ok(db && store_event_read(db, 0, 10000, &g.arena, &events, &count, &g.err), g.err);
    store_read_end(g.store, db);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == STORE_EVENT_WORKLIST_CHANGED && !*events[i].study)
            labelled = events[i].number;
        if (events[i].kind == STORE_EVENT_JOB_QUEUED)
            queued = events[i].number;
    }
    assert_true(labelled > 0 && labelled < queued);
    ground_close(&g);
}

static void asking_again_asks_the_rules_for_labels_too(void **state)
{
    struct ground g;
    struct flow_asked asked;
    (void)state;
    ground_open(&g, two_models, NULL);
    enter_label(&g, "vip");
    ground_put_series(&g, &(struct slice){0}, 3, AT(1));
    ground_end(&g, "SCANNER", AT(1));
    ground_step(&g, AT(5));
    assert_string_equal(labels_of(&g), "[]");
    ground_rule(&g, "{\"name\":\"r\",\"labels\":[\"vip\"]}");
    assert_ok(flow_ask(g.flow, "1.2.3", AT(6), &asked, &g.err), g.err);
    assert_string_equal(labels_of(&g), "[\"vip\"]");
    ground_close(&g);
}

static void a_rule_names_labels_that_there_are_and_says_all_of_them(void **state)
{
    struct ground g;
    struct flow_rule rule = {.name = "r", .enabled = true, .labels = {"nobody"}, .labels_count = 1}, back;
    (void)state;
    ground_open(&g, two_models, NULL);
    assert_true(ground_rule_refused(&g, "{\"name\":\"r\"}"));
    assert_non_null(strstr(g.err.message, "give it a model, or labels"));
    assert_true(ground_rule_refused(&g, "{\"name\":\"r\",\"labels\":[\"a,b\"]}"));
    assert_non_null(strstr(g.err.message, "rule 'r': labels: 'a,b'"));
    assert_false(flow_rule_put(g.store, g.access, &rule, "test", &g.err));
    assert_non_null(strstr(g.err.message, "there is no label 'nobody'"));
    json_t *json = flow_rule_to_json(&rule);
    assert_ok(flow_rule_from_json(json, &back, &g.err), g.err);
    json_decref(json);
    assert_int_equal(back.labels_count, 1);
    assert_string_equal(back.labels[0], "nobody");
    ground_close(&g);
}

int test_rules(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_is_asked),
        cmocka_unit_test(rule_that_asks_nothing_takes_all_and_a_disabled_one_none),
        cmocka_unit_test(rules_are_edited_and_removed_without_a_restart),
        cmocka_unit_test(the_same_rule_again_raises_no_version_and_tells_nobody),
        cmocka_unit_test(a_change_made_from_an_older_version_is_refused),
        cmocka_unit_test(two_rules_with_one_model_are_one_job_with_the_targets_of_both),
        cmocka_unit_test(two_rules_with_two_models_are_two_jobs),
        cmocka_unit_test(rule_for_a_model_that_is_not_installed_makes_a_job_that_says_so_and_keeps_no_other_away),
        cmocka_unit_test(unfit_rules_are_refused_by_the_name_of_the_member),
        cmocka_unit_test(there_is_an_end_to_how_many_rules_are_kept),
        cmocka_unit_test(hl7_targets_are_checked_kept_and_removed),
        cmocka_unit_test(rules_that_match_give_the_study_their_labels_with_or_without_a_model),
        cmocka_unit_test(a_study_has_its_labels_when_its_job_is_there),
        cmocka_unit_test(asking_again_asks_the_rules_for_labels_too),
        cmocka_unit_test(a_rule_names_labels_that_there_are_and_says_all_of_them),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}

// ---- the rules that packages bring

#define STANDARD "{\"name\":\"standard\",\"model\":\"one\",\"modality\":\"CT\"}"

static size_t rule_count(struct ground *g, struct flow_rule **rules)
{
    size_t count;
    assert_ok(flow_rule_list(g->store, &g->arena, rules, &count, &g->err), g->err);
    return count;
}

static void packages_rule_is_entered_active(void **state)
{
    struct ground g;
    struct flow_rule *rules;
    (void)state;
    ground_open(&g, two_models, STANDARD);
    assert_int_equal(rule_count(&g, &rules), 1);
    assert_string_equal(rules[0].name, "standard");
    assert_true(rules[0].enabled);
    ground_close(&g);
}

static void packages_rule_that_was_removed_or_changed_stays_so(void **state)
{
    struct ground g;
    struct flow_rule *rules;
    (void)state;
    ground_open(&g, two_models, STANDARD);
    ground_rule(&g, "{\"name\":\"standard\",\"model\":\"one\",\"modality\":\"MR\"}");
    ground_restart_flow(&g);
    assert_int_equal(rule_count(&g, &rules), 1);
    assert_string_equal(rules[0].modality, "MR");
    assert_ok(flow_rule_remove(g.store, g.access, "standard", "test", &g.err), g.err);
    ground_restart_flow(&g);
    assert_int_equal(rule_count(&g, &rules), 0);
    ground_close(&g);
}

static void packages_rule_goes_over_no_rule_of_a_person(void **state)
{
    struct ground g;
    struct flow_rule *rules;
    static const char *const none[] = {NULL};
    (void)state;
    ground_open(&g, none, NULL);
    ground_rule(&g, "{\"name\":\"standard\",\"model\":\"two\",\"modality\":\"MR\"}");
    ground_add_package(&g, &(struct package){.name = "one", .rule = STANDARD});
    ground_restart_flow(&g);
    assert_int_equal(rule_count(&g, &rules), 1);
    assert_string_equal(rules[0].modality, "MR");
    ground_close(&g);
}

int test_standard_rules(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(packages_rule_is_entered_active),
        cmocka_unit_test(packages_rule_that_was_removed_or_changed_stays_so),
        cmocka_unit_test(packages_rule_goes_over_no_rule_of_a_person),
    };
    return cmocka_run_group_tests_name("the rules that packages bring", tests, NULL, NULL);
}
