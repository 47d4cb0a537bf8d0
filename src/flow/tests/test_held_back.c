// Images that came again with other pixels, which nobody has looked at: what is said of their series meanwhile.
#include "support.h"

#include <string.h>

#define AT(seconds) (GROUND_START + (int64_t)((seconds)*1e9))

static struct finding_result *result_at(struct ground *g, size_t index)
{
    struct finding_result *results;
    assert_true(ground_results(g, "1.2.3", &results) > index);
    return &results[index];
}

// To the record, of which none is obsolete.
static size_t messages(struct ground *g)
{
    size_t count, same = 0;
    struct queue_delivery *list = ground_deliveries(g, result_at(g, 0)->topic, &count);
    for (size_t i = 0; i < count; i++)
        same += strcmp(list[i].kind, "hl7") == 0 && list[i].state != QUEUE_DELIVERY_OBSOLETE;
    return same;
}

// On all that wait for it.
static void decide(struct ground *g, enum archive_decision decision, int64_t at_ns)
{
    struct archive_conflict *conflicts, now;
    size_t count;
    assert_ok(archive_conflicts(g->archive, "1.2.3", false, NULL, &g->arena, &conflicts, &count, &g->err), g->err);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_ok(
            archive_decide(g->archive, conflicts[i].newer.id, decision, "Dr. Who", at_ns, &g->arena, &now, &g->err),
            g->err);
    ground_step(g, at_ns + 120 * CLOCK_SECOND);
}

// Nobody looked at the newer pixels: a negative is not said of them, told already or waiting; a positive stands.
static void what_came_again_with_other_pixels_takes_a_negative_s_place_until_somebody_decides(void **state)
{
    (void)state;
    for (int bleed = 0; bleed <= 22; bleed += 22) {
        struct ground g;
        ground_open_real(&g, TARGETS);
        ground_send_head(&g, &(struct head){.bleed = bleed}, AT(0));
        ground_work_for_real(&g);
        ground_step(&g, AT(120));
        ground_work_for_real(&g);
        ground_deliver_all(&g);
        assert_true(result_at(&g, 0)->told);
        ground_send_head(&g, &(struct head){.bleed = 22 - bleed}, AT(200));
        ground_work_for_real(&g);
        const char *words = "images came again with other pixels, or another place, scale or contrast of them, which "
                            "were not looked at; keep or take them";
        assert_int_equal(result_at(&g, 0)->standing, FINDING_REPLACED);
        assert_int_equal(result_at(&g, 1)->outcome, bleed ? FINDING_POSITIVE : FINDING_NOT_ANALYSED);
        assert_true(result_at(&g, 1)->told);
        assert_non_null(strstr(bleed ? result_at(&g, 1)->notes : result_at(&g, 1)->reason, words));
        assert_int_equal(messages(&g), 2); // whoever was told hears of it
        ground_deliver_all(&g);

        decide(&g, bleed ? ARCHIVE_TAKEN : ARCHIVE_KEPT, AT(300));
        ground_work_for_real(&g);
        ground_step(&g, AT(600));
        ground_work_for_real(&g);
        assert_int_equal(result_at(&g, 1)->standing, FINDING_REPLACED);
        assert_int_equal(result_at(&g, 2)->standing, FINDING_CURRENT);
        assert_int_equal(result_at(&g, 2)->outcome, FINDING_NEGATIVE);
        assert_true(result_at(&g, 2)->told);
        assert_null(strstr(result_at(&g, 2)->notes, "came again"));
        ground_close(&g);
    }
}

static void a_negative_that_waits_is_not_told_when_its_images_come_again_with_other_pixels(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){0}, AT(0));
    ground_work_for_real(&g);
    assert_false(result_at(&g, 0)->told);
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(10));
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    assert_false(result_at(&g, 0)->told);
    assert_int_equal(result_at(&g, 0)->standing, FINDING_REPLACED);
    assert_int_equal(result_at(&g, 1)->outcome, FINDING_NOT_ANALYSED);
    assert_int_equal(messages(&g), 0);
    ground_close(&g);
}

int test_held_back(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_again_with_other_pixels_takes_a_negative_s_place_until_somebody_decides),
        cmocka_unit_test(a_negative_that_waits_is_not_told_when_its_images_come_again_with_other_pixels),
    };
    return cmocka_run_group_tests_name("held back", tests, NULL, NULL);
}
