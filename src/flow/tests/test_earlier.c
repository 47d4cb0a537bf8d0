// What was said of images that are not those that are there now: it says so at once, and until there is an answer on
// these.
#include "support.h"

#include <string.h>

#include "flow/internal.h"

// Hours may pass until a worker has the newer images: until then nobody takes what was said for what is said of them.
static void what_was_said_of_images_that_were_replaced_says_so_until_the_newer_ones_have_an_answer(void **state)
{
    struct ground g;
    size_t count;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){0}, AT(0));
    ground_work_for_real(&g);
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    assert_true(ground_result(&g, 0)->told && !ground_result(&g, 0)->is_earlier);
    assert_string_equal(finding_result_reason(ground_result(&g, 0)), "");
    assert_true(ground_deliver(&g, "hl7", true)); // the PACS is away
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(130));
    assert_true(ground_result(&g, 0)->is_earlier); // nobody has looked at those that wait for a person

    ground_decide(&g, ARCHIVE_TAKEN, AT(200));
    ground_restart_flow(&g);
    assert_true(ground_result(&g, 0)->is_earlier);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_CURRENT);
    assert_non_null(strstr(finding_result_reason(ground_result(&g, 0)), "said of earlier images"));
    struct queue_delivery *list = ground_deliveries(&g, ground_result(&g, 0)->topic, &count);
    for (size_t i = 0; i < count; i++)
        assert_int_not_equal(list[i].state, QUEUE_DELIVERY_WAITING);

    ground_work_for_real(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
    assert_int_equal(ground_result(&g, 1)->outcome, FINDING_POSITIVE);
    assert_false(ground_result(&g, 1)->is_earlier);
    assert_string_equal(finding_result_reason(ground_result(&g, 1)), "");
    ground_close(&g);
}

// A person who takes the first images after all finds what was said of them, and a negative that waited is told.
static void what_was_said_holds_again_when_its_images_are_back_before_anybody_looked(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){0}, AT(0));
    ground_work_for_real(&g);
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(10));
    ground_decide(&g, ARCHIVE_TAKEN, AT(20)); // and the quiet after it passes
    assert_true(ground_result(&g, 0)->is_earlier);
    ground_step(&g, AT(300));
    ground_decide(&g, ARCHIVE_TAKEN, AT(400));
    assert_false(ground_result(&g, 0)->is_earlier);
    assert_false(ground_result(&g, 0)->told);
    ground_step(&g, AT(600));
    ground_work_for_real(&g);
    assert_true(ground_result(&g, 0)->told);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_CURRENT);
    assert_int_equal(ground_count(&g, "hl7"), 1);
    ground_close(&g);
}

// The association stays open: the series is whole, looked at, and grows.
static void put_more(struct ground *g, int from, int to, double at_s)
{
    ground_put_head(g, &(struct head){.from = from, .to = to}, AT(at_s));
    ground_step(g, AT(at_s));
}

static void what_was_said_is_of_earlier_images_as_soon_as_one_more_comes(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.to = 48});
    assert_true(ground_result(&g, 0)->told && !ground_result(&g, 0)->is_earlier);
    put_more(&g, 48, 49, 200);
    assert_true(ground_result(&g, 0)->is_earlier);
    int64_t changed_ns = ground_result(&g, 0)->changed_ns;
    put_more(&g, 49, 51, 203);
    assert_int_equal(ground_result(&g, 0)->changed_ns, changed_ns); // said once, however many come
    ground_close(&g);
}

static void a_negative_that_waits_is_not_told_while_its_series_grows(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.to = 48}, AT(0));
    ground_work_for_real(&g);
    assert_false(ground_result(&g, 0)->told);
    ground_step(&g, AT(60));
    put_more(&g, 48, 49, 61); // its telling is under way
    ground_work_for_real(&g);
    assert_true(ground_result(&g, 0)->is_earlier);
    assert_false(ground_result(&g, 0)->told);
    assert_int_equal(ground_count(&g, "hl7") + ground_count(&g, "dicom"), 0);
    ground_close(&g);
}

// The same pixels with another remark came again: the content is what it was, and so is what waits to be sent.
static void what_was_said_is_of_the_present_images_again_when_nothing_new_has_come(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){0}, AT(0));
    ground_work_for_real(&g);
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    assert_int_equal(ground_count(&g, "hl7") + ground_count(&g, "dicom"), 2); // the targets are away
    ground_put_head(&g, &(struct head){.referring = "Doc^Berta", .to = 1}, AT(200));
    ground_step(&g, AT(200));
    assert_true(ground_result(&g, 0)->is_earlier);
    assert_int_equal(ground_count(&g, "hl7") + ground_count(&g, "dicom"), 0);
    ground_end(&g, "SCANNER", AT(200));
    ground_step(&g, AT(203));
    ground_work_for_real(&g);
    assert_false(ground_result(&g, 0)->is_earlier);
    assert_true(ground_result(&g, 0)->told);
    assert_int_equal(ground_count(&g, "hl7") + ground_count(&g, "dicom"), 2);
    ground_close(&g);
}

static const char *last_message(struct ground *g)
{
    return ground_message_as(g, "F");
}

// A record keeps what it was told last: where nobody looks any more, that is what it is about.
static void a_record_hears_once_that_its_answer_is_of_earlier_images_where_no_job_follows(void **state)
{
    (void)state;
    for (int bleed = 0; bleed <= 22; bleed += 22) {
        struct ground g;
        ground_open_told(&g, &(struct head){.bleed = bleed, .to = 48});
        size_t documents = ground_count(&g, "dicom");
        assert_int_equal(ground_count(&g, "hl7"), 1);
        assert_ok(flow_rule_remove(g.store, g.access, GROUND_HEAD_MODEL, "test", &g.err), g.err);
        for (int more = 48; more < 50; more++) {
            ground_send_head(&g, &(struct head){.bleed = bleed, .from = more, .to = more + 1}, AT(200 + more));
            assert_int_equal(ground_count(&g, "hl7"), 2);
            assert_non_null(strstr(last_message(&g), "This is said of earlier images"));
            assert_non_null(strstr(last_message(&g), "|C\rNTE|"));
            assert_non_null(strstr(last_message(&g), bleed ? "|121071^Finding^DCM|1|" : "othing was found"));
            ground_deliver_all(&g);
        }
        assert_int_equal(ground_count(&g, "dicom"), documents);
        ground_close(&g);
    }
}

static void a_record_hears_that_its_answer_is_of_the_present_images_again(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){0});
    assert_ok(flow_rule_remove(g.store, g.access, GROUND_HEAD_MODEL, "test", &g.err), g.err);
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(200)); // beside, until a person decides
    for (int round = 1; round <= 2; round++) {
        if (round == 2)
            ground_decide(&g, ARCHIVE_TAKEN, AT(800));
        assert_int_equal(ground_count(&g, "hl7"), 2 * round);
        assert_non_null(strstr(last_message(&g), "This is said of earlier images"));
        ground_deliver_all(&g);
        ground_decide(&g, round == 1 ? ARCHIVE_KEPT : ARCHIVE_TAKEN, AT(400 * round + 200)); // the first ones
        assert_int_equal(ground_count(&g, "hl7"), 2 * round + 1);
        assert_null(strstr(last_message(&g), "earlier images"));
        ground_deliver_all(&g);
    }
    ground_close(&g);
}

// Its job waits, and says why it is not done when a worker has it.
static void a_record_hears_of_earlier_images_when_the_job_of_the_newer_ones_ends_without_a_word(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.to = 48});
    ground_drop_packages(&g);
    ground_send_head(&g, &(struct head){.from = 48}, AT(200));
    assert_int_equal(ground_count(&g, "hl7"), 1);
    ground_work_for_real(&g);
    ground_step(&g, AT(210));
    assert_int_equal(ground_count(&g, "hl7"), 2);
    assert_non_null(strstr(last_message(&g), "This is said of earlier images"));
    ground_close(&g);
}

// A reader judges it meanwhile: everybody hears, and no document cites images that are not there as they were.
static void a_positive_of_earlier_images_is_taken_back_and_has_documents_again_when_they_are_back(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22});
    ground_drop_packages(&g);
    ground_send_head(&g, &(struct head){0}, AT(200)); // beside
    ground_decide(&g, ARCHIVE_TAKEN, AT(210));
    ground_work_for_real(&g);
    ground_judge(&g, FINDING_REJECTED, AT(350));
    assert_int_equal(ground_count(&g, "dicom"), 3); // SEG, SR, and the note that rejects both
    assert_string_equal(ground_result(&g, 0)->sr_instance, "");
    assert_non_null(strstr(last_message(&g), "|D|"));
    ground_deliver_all(&g);
    ground_judge(&g, FINDING_ACCEPTED, AT(400));
    assert_int_equal(ground_count(&g, "dicom"), 3);
    assert_non_null(strstr(last_message(&g), "|121071^Finding^DCM|1|"));
    ground_deliver_all(&g);
    ground_decide(&g, ARCHIVE_TAKEN, AT(500));
    ground_work_for_real(&g);
    assert_int_equal(ground_count(&g, "dicom"), 5);
    assert_string_equal(ground_class_of(&g, ground_result(&g, 0)->sr_instance), SR);
    assert_string_equal(ground_class_of(&g, ground_result(&g, 0)->seg_instance), SEG);
    ground_close(&g);
}

// An image casts doubt on what was said of its own series.
static void an_image_of_another_series_makes_nothing_one_of_earlier_images(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){0});
    ground_send_head(&g, &(struct head){.series = "1.2.3.2", .to = 48}, AT(200));
    ground_work_for_real(&g);
    ground_put_head(&g, &(struct head){.series = "1.2.3.2", .from = 48, .to = 49}, AT(300));
    ground_step(&g, AT(300));
    assert_true(ground_result(&g, 1)->is_earlier);
    assert_false(ground_result(&g, 0)->is_earlier);
    ground_close(&g);
}

// The job of another series will say nothing of this one.
static void a_record_hears_of_earlier_images_although_a_job_of_another_series_waits(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.to = 48});
    ground_send_head(&g, &(struct head){.series = "1.2.3.2"}, AT(200)); // its job waits
    assert_ok(flow_rule_remove(g.store, g.access, GROUND_HEAD_MODEL, "test", &g.err), g.err);
    ground_send_head(&g, &(struct head){.from = 48}, AT(250));
    assert_int_equal(ground_count(&g, "hl7"), 2);
    assert_non_null(strstr(last_message(&g), "This is said of earlier images"));
    ground_close(&g);
}

static void each_record_hears_that_its_answer_is_of_earlier_images(void **state)
{
    struct ground g;
    size_t count;
    (void)state;
    ground_open_real(&g, ",\"hl7_to\":[\"his\",\"ris\"]");
    ground_send_head(&g, &(struct head){.bleed = 22, .to = 48}, AT(0));
    ground_work_for_real(&g);
    ground_deliver_all(&g);
    assert_int_equal(ground_count(&g, "hl7"), 2);
    assert_ok(flow_rule_remove(g.store, g.access, GROUND_HEAD_MODEL, "test", &g.err), g.err);
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 48}, AT(200));
    struct queue_delivery *list = ground_deliveries(&g, ground_newest(&g)->topic, &count);
    assert_int_equal(count, 4);
    for (size_t i = 2; i < 4; i++)
        assert_non_null(strstr(ground_message_in(&g, &list[i], "F"), "This is said of earlier images"));
    assert_string_not_equal(list[2].target, list[3].target);
    ground_close(&g);
}

int test_earlier(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_of_images_that_were_replaced_says_so_until_the_newer_ones_have_an_answer),
        cmocka_unit_test(what_was_said_holds_again_when_its_images_are_back_before_anybody_looked),
        cmocka_unit_test(what_was_said_is_of_earlier_images_as_soon_as_one_more_comes),
        cmocka_unit_test(a_negative_that_waits_is_not_told_while_its_series_grows),
        cmocka_unit_test(what_was_said_is_of_the_present_images_again_when_nothing_new_has_come),
        cmocka_unit_test(a_record_hears_once_that_its_answer_is_of_earlier_images_where_no_job_follows),
        cmocka_unit_test(a_record_hears_that_its_answer_is_of_the_present_images_again),
        cmocka_unit_test(a_record_hears_of_earlier_images_when_the_job_of_the_newer_ones_ends_without_a_word),
        cmocka_unit_test(a_positive_of_earlier_images_is_taken_back_and_has_documents_again_when_they_are_back),
        cmocka_unit_test(an_image_of_another_series_makes_nothing_one_of_earlier_images),
        cmocka_unit_test(a_record_hears_of_earlier_images_although_a_job_of_another_series_waits),
        cmocka_unit_test(each_record_hears_that_its_answer_is_of_earlier_images),
    };
    return cmocka_run_group_tests_name("earlier", tests, NULL, NULL);
}
