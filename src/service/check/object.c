// The test object: one small synthetic image that says of itself what it is. Its UIDs and bytes are the same each time,
// so that an archive keeps one however often it is sent.
#include "service/check/check.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/reader.h"
#include "dicom/dataset.h"
#include "dicom/writer.h"

#define SECONDARY_CAPTURE "1.2.840.10008.5.1.4.1.1.7"
enum { EDGE = 64, OBJECT_MAX = 16 << 10, BLOCK = 4 << 10 };

static void make_uid(char out[DICOM_UID_SIZE], const char *level)
{
    char name[128];
    uint8_t digest[HASH_SIZE];
    snprintf(name, sizeof name, "%s test object, %s", DICOM_IMPLEMENTATION_CLASS_UID, level);
    hash_of(name, strlen(name), digest);
    dicom_uid_from_digest(out, digest);
}

static void write_uid(struct dicom_writer *w, dicom_tag tag, const char *level)
{
    char uid[DICOM_UID_SIZE];
    make_uid(uid, level);
    dicom_write_text(w, tag, uid);
}

static void write_pixels(struct dicom_writer *w)
{
    uint8_t pixels[EDGE * EDGE];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(4 * (i % EDGE) * ((i / EDGE / 8) % 2)); // bars of a ramp
    dicom_write_integer(w, 0x00280002, 1);
    dicom_write_text(w, 0x00280004, "MONOCHROME2");
    dicom_write_integer(w, 0x00280010, EDGE);
    dicom_write_integer(w, 0x00280011, EDGE);
    dicom_write_integer(w, 0x00280100, 8);
    dicom_write_integer(w, 0x00280101, 8);
    dicom_write_integer(w, 0x00280102, 7);
    dicom_write_integer(w, 0x00280103, 0);
    dicom_write_text(w, 0x00280300, "YES"); // a quality control image (PS3.3 C.7.6.1)
    dicom_write_text(w, 0x00280301, "NO");
    dicom_write_bytes(w, 0x7FE00010, DICOM_VR_OB, pixels, sizeof pixels);
}

// In Explicit VR Little Endian. Every attribute by which it is shown says that it is a test.
static void write_object(struct buffer *out)
{
    struct dicom_writer w;
    dicom_writer_init(&w, out, false);
    dicom_write_text(&w, 0x00080008, "DERIVED\\SECONDARY");
    dicom_write_text(&w, 0x00080016, SECONDARY_CAPTURE);
    write_uid(&w, 0x00080018, "instance");
    dicom_write_text(&w, 0x00080020, "20000101");
    dicom_write_text(&w, 0x00080030, "000000");
    dicom_write_text(&w, 0x00080050, "");
    dicom_write_text(&w, 0x00080060, "OT");
    dicom_write_text(&w, 0x00080064, "SYN");
    dicom_write_text(&w, 0x00080070, "Hilum");
    dicom_write_text(&w, 0x00080090, "");
    dicom_write_text(&w, 0x00081030, "TEST OBJECT, NO PATIENT");
    dicom_write_text(&w, 0x0008103E, "TEST OBJECT, NO PATIENT");
    dicom_write_text(&w, 0x00100010, CHECK_TEST_PATIENT);
    dicom_write_text(&w, 0x00100020, "HILUM-TEST");
    dicom_write_text(&w, 0x00100030, "");
    dicom_write_text(&w, 0x00100040, "O");
    write_uid(&w, 0x0020000D, "study");
    write_uid(&w, 0x0020000E, "series");
    dicom_write_text(&w, 0x00200010, "TEST");
    dicom_write_text(&w, 0x00200011, "1");
    dicom_write_text(&w, 0x00200013, "1");
    dicom_write_text(&w, 0x00200020, "");
    dicom_write_text(&w, 0x00200060, "");
    dicom_write_text(&w, 0x00204000, "A test object of Hilum's connection check. No patient. It may be deleted.");
    write_pixels(&w);
}

static bool store(struct dimse_association *association, const struct buffer *object, uint16_t *status,
                  char comment[65], struct error *err)
{
    char instance[DICOM_UID_SIZE];
    uint8_t block[BLOCK];
    const struct dimse_context *context = dimse_context_for(association, SECONDARY_CAPTURE, DICOM_TS_EXPLICIT);
    if (!context)
        return error_set(err, ERROR_UNSUPPORTED,
                         "it does not take Secondary Capture Image in Explicit VR Little Endian");
    make_uid(instance, "instance");
    struct source_reader from = {reader_from_memory(object->data, object->size), 0, block, sizeof block};
    return dimse_store(association, context, SECONDARY_CAPTURE, instance, source_from_reader(&from), status, comment,
                       err);
}

static bool send_object(struct check *check, const struct access_peer *peer, uint16_t *status, char comment[65],
                        struct error *err)
{
    static const struct dimse_proposal proposal = {SECONDARY_CAPTURE, {DICOM_TS_EXPLICIT}};
    const int64_t left_ns = (check->deadline_ns - clock_monotonic_ns()) / 2;
    const struct dimse_timers timers = {left_ns, left_ns, left_ns, CLOCK_SECOND};
    struct buffer object;
    struct error ignored;
    buffer_init(&object, OBJECT_MAX);
    write_object(&object);
    struct dimse_association *association = buffer_check(&object, "the test object", err)
                                                ? dimse_service_call(check->service, peer, &proposal, 1, &timers, err)
                                                : NULL;
    bool ok = association && store(association, &object, status, comment, err);
    if (ok)
        dimse_release(association, &ignored); // its status is what was asked for
    else
        dimse_close(association);
    buffer_free(&object);
    return ok;
}

void check_test_object(struct check *check, const struct access_peer *peer)
{
    char study[DICOM_UID_SIZE], comment[65] = "";
    uint16_t status = 0;
    struct error err;
    make_uid(study, "study");
    if (!send_object(check, peer, &status, comment, &err)) {
        check_fail(check, "test object", &err);
        return;
    }
    check->names.error = arena_printf(check->arena, "%04XH%s%s; patient " CHECK_TEST_PATIENT ", study %s", status,
                                      *comment ? " " : "", comment, study);
    if (status == 0)
        check_say(check, "test object", CHECK_OK, "{name} took the test object with status {error}",
                  "on the side of {name}: delete the test patient when you have seen it");
    else if ((status & 0xF000) == 0xB000)
        check_say(check, "test object", CHECK_WARNING, "{name} took the test object with a warning, status {error}",
                  "on the side of {name}: see its log for what it changed or left out");
    else
        check_say(
            check, "test object", CHECK_FAILED, "{name} did not take the test object: status {error}",
            "on the side of {name}: see its log; A7xx says that it has no room, 0124 that we may not, others that "
            "the object does not please it");
}
