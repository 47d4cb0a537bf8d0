// The note that takes objects back, judged by pydicom, dciodvfy and dsrdump.
#include "support.h"

#include <string.h>

#define SEG_CLASS "1.2.840.10008.5.1.4.1.1.66.4"
#define SR_CLASS "1.2.840.10008.5.1.4.1.1.88.34"
#define KEY_CLASS "1.2.840.10008.5.1.4.1.1.88.59"

static const struct finding_object objects[] = {{SEG_CLASS, "1.2.3.4.1", "1.2.3.4.2"},
                                                {SR_CLASS, "1.2.3.4.3", "1.2.3.4.4"}};

static void judge(const struct scene *scene, enum finding_rejection why, const char *title, const char *says)
{
    struct buffer note, said;
    struct error err;
    buffer_init(&note, 1 << 20);
    assert_ok(finding_to_rejection(&scene->context, why, objects, 2, &note, &err), err);
    const char *path = scene_write(&note, KEY_CLASS, "note.dcm");
    ask_oracle((const char *const[]){"rejection", path, title, "1.2.3.4.2", "1.2.3.4.4", NULL});
    run_program((const char *const[]){"dciodvfy", path, NULL}, &said);
    if (strstr((const char *)said.data, "Error") || !strstr((const char *)said.data, "KeyObjectSelectionDocument"))
        fail_msg("dciodvfy: %s", (const char *)said.data);
    buffer_free(&said);
    run_well((const char *const[]){"dsrdump", "+Pl", path, NULL}, &said);
    if (strstr((const char *)said.data, "E: ") || !strstr((const char *)said.data, says))
        fail_msg("dsrdump: %s", (const char *)said.data);
    buffer_free(&said);
    buffer_free(&note);
}

static void what_was_rejected_on_review_is_rejected_for_quality(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    scene.result.revision = 1;
    judge(&scene, FINDING_FOR_QUALITY, "113001", "it was revised after review");
    scene_free(&scene);
}

// The note bears what is said now, which nobody has reviewed, or what is no more.
static void what_a_newer_result_replaces_is_not_said_to_be_reviewed(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    scene.result.revision = 0;
    judge(&scene, FINDING_FOR_QUALITY, "113001", "a newer result has taken its place");
    scene.result.standing = FINDING_REPLACED;
    scene.result.revision = 1; // of which there is no further one
    judge(&scene, FINDING_FOR_QUALITY, "113001", "a newer result has taken its place");
    scene_free(&scene);
}

static void what_is_of_the_wrong_patient_is_rejected_for_safety(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    scene.result.standing = FINDING_WITHDRAWN;
    scene.result.reason = "objects of two patients";
    scene.context.geometry = NULL; // nothing of the images but one header is needed
    judge(&scene, FINDING_FOR_SAFETY, "113037", "objects of two patients");
    scene_free(&scene);
}

static void a_note_that_names_nothing_whole_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer note;
    struct error err;
    scene_oblique(&scene);
    buffer_init(&note, 1 << 20);
    assert_false(finding_to_rejection(&scene.context, FINDING_FOR_QUALITY, objects, 0, &note, &err));
    assert_int_equal(err.code, ERROR_USAGE);
    assert_false(finding_to_rejection(&scene.context, FINDING_FOR_QUALITY, &(struct finding_object){SR_CLASS, "", "1"},
                                      1, &note, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    assert_int_equal(note.size, 0);
    buffer_free(&note);
    scene_free(&scene);
}

int test_rejection(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_rejected_on_review_is_rejected_for_quality),
        cmocka_unit_test(what_a_newer_result_replaces_is_not_said_to_be_reviewed),
        cmocka_unit_test(what_is_of_the_wrong_patient_is_rejected_for_safety),
        cmocka_unit_test(a_note_that_names_nothing_whole_is_refused),
    };
    return cmocka_run_group_tests_name("rejection notes", tests, NULL, NULL);
}
