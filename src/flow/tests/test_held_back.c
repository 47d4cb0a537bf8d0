// Images that came again with other pixels, which nobody has looked at: what is said of their series meanwhile.
#include "support.h"

#include <string.h>

// Nobody looked at the newer pixels: a negative is not said of them, told already or waiting; a positive stands.
static void what_came_again_with_other_pixels_takes_a_negative_s_place_until_somebody_decides(void **state)
{
    (void)state;
    for (int bleed = 0; bleed <= 22; bleed += 22) {
        struct ground g;
        ground_open_told(&g, &(struct head){.bleed = bleed});
        assert_true(ground_result(&g, 0)->told);
        ground_send_head(&g, &(struct head){.bleed = 22 - bleed}, AT(200));
        ground_work_for_real(&g);
        const char *words = "images came again with other pixels, or another place, scale or contrast of them, which "
                            "were not looked at; keep or take them";
        assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
        assert_int_equal(ground_result(&g, 1)->outcome, bleed ? FINDING_POSITIVE : FINDING_NOT_ANALYSED);
        assert_true(ground_result(&g, 1)->told);
        assert_non_null(strstr(bleed ? ground_result(&g, 1)->notes : ground_result(&g, 1)->reason, words));
        assert_int_equal(ground_count(&g, "hl7"), 2); // whoever was told hears of it
        ground_deliver_all(&g);

        ground_decide(&g, bleed ? ARCHIVE_TAKEN : ARCHIVE_KEPT, AT(300));
        ground_work_for_real(&g);
        ground_step(&g, AT(600));
        ground_work_for_real(&g);
        assert_int_equal(ground_result(&g, 1)->standing, FINDING_REPLACED);
        assert_int_equal(ground_result(&g, 2)->standing, FINDING_CURRENT);
        assert_int_equal(ground_result(&g, 2)->outcome, FINDING_NEGATIVE);
        assert_true(ground_result(&g, 2)->told);
        assert_null(strstr(ground_result(&g, 2)->notes, "came again"));
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
    assert_false(ground_result(&g, 0)->told);
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(10));
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    assert_false(ground_result(&g, 0)->told);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
    assert_int_equal(ground_result(&g, 1)->outcome, FINDING_NOT_ANALYSED);
    assert_int_equal(ground_count(&g, "hl7"), 0);
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
