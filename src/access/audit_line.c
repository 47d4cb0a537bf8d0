#include "access/audit_line.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

// PS3.15 A.5.3, codes of PS3.16 D. `role` and `own_role` are the RoleIDCodes of the actor and of this program.
static const struct kind {
    const char *code, *name;
    const char *type, *type_name; // NULL: no EventTypeCode
    char action;
    const char *role, *own_role;
} kinds[ACCESS_EVENT_COUNT + 1] = {
    [ACCESS_EVENT_START] = {"110100", "Application Activity", "110120", "Application Start", 'E', "110151", "110150"},
    [ACCESS_EVENT_STOP] = {"110100", "Application Activity", "110121", "Application Stop", 'E', "110151", "110150"},
    [ACCESS_EVENT_ASSOCIATION] = {"110113", "Security Alert", "110126", "Node Authentication", 'E', NULL, "110150"},
    [ACCESS_EVENT_REFUSED] = {"110113", "Security Alert", "110132", "Use of Restricted Function", 'E', NULL, "110150"},
    [ACCESS_EVENT_STORED] = {"110104", "DICOM Instances Transferred", NULL, NULL, 'C', "110153", "110152"},
    [ACCESS_EVENT_QUERY] = {"110112", "Query", NULL, NULL, 'E', "110153", "110152"},
    [ACCESS_EVENT_RETRIEVED] = {"110104", "DICOM Instances Transferred", NULL, NULL, 'R', "110152", "110153"},
    [ACCESS_EVENT_IMPORTED] = {"110107", "Import", NULL, NULL, 'C', NULL, "110152"},
    [ACCESS_EVENT_CHANGED] = {"110113", "Security Alert", "110131", "Software Configuration", 'E', NULL, "110150"},
    [ACCESS_EVENT_JUDGED] = {"110103", "DICOM Instances Accessed", NULL, NULL, 'U', NULL, "110150"},
    [ACCESS_EVENT_EXPORTED] = {"110106", "Export", NULL, NULL, 'R', NULL, "110153"},
    [ACCESS_EVENT_NODE] = {"110113", "Security Alert", "110126", "Node Authentication", 'E', NULL, "110150"},
    [ACCESS_EVENT_LOGIN] = {"110114", "User Authentication", "110122", "Login", 'E', NULL, "110150"},
    [ACCESS_EVENT_LOGOUT] = {"110114", "User Authentication", "110123", "Logout", 'E', NULL, "110150"},
    [ACCESS_EVENT_AUDIT_USED] = {"110101", "Audit Log Used", NULL, NULL, 'R', NULL, "110150"},
    [ACCESS_EVENT_EMERGENCY] = {"110113", "Security Alert", "110127", "Emergency Override Started", 'E', NULL,
                                "110150"},
    [ACCESS_EVENT_TRAIL] = {"110113", "Security Alert", "110134", "Audit Recording Started", 'E', NULL, "110150"},
};

static bool says(const char *name, const char *wanted)
{
    return name && strcasestr(name, wanted) != NULL;
}

bool access_line_event_is_known(const char *wanted)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct kind *kind = &kinds[i];
        if (kind->code && (strcmp(kind->code, wanted) == 0 || says(kind->name, wanted) ||
                           says(kind->type_name, wanted) || (kind->type && strcmp(kind->type, wanted) == 0)))
            return true;
    }
    return false;
}

static const struct {
    const char *code, *name;
} roles[] = {
    {"110150", "Application"},
    {"110151", "Application Launcher"},
    {"110152", "Destination Role ID"},
    {"110153", "Source Role ID"},
};

// Line ends of any reader (also U+0085, U+2028, U+2029) become references; what XML 1.0 cannot say becomes U+FFFD.
static void xml_character(struct buffer *out, const char *text, size_t length)
{
    const uint8_t *p = (const uint8_t *)text;
    static const char *const entities[128] = {
        ['&'] = "&amp;",  ['<'] = "&lt;",  ['>'] = "&gt;",   ['"'] = "&quot;",
        ['\''] = "&#39;", ['\t'] = "&#9;", ['\n'] = "&#10;", ['\r'] = "&#13;",
    };
    bool separator = length == 3 && p[0] == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9);
    bool noncharacter = length == 3 && p[0] == 0xEF && p[1] == 0xBF && p[2] >= 0xBE;
    if (length == 1 && entities[p[0]])
        buffer_text(out, entities[p[0]]);
    else if (length == 0 || (length == 1 && p[0] < 0x20) || noncharacter)
        buffer_text(out, "\xEF\xBF\xBD");
    else if (length == 1 && p[0] == 0x7F)
        buffer_text(out, "&#127;");
    else if (length == 2 && p[0] == 0xC2 && p[1] < 0xA0)
        buffer_printf(out, "&#%d;", p[1]);
    else if (separator)
        buffer_printf(out, "&#%d;", 0x2000 + (p[2] & 0x3F));
    else
        buffer_append(out, text, length);
}

void access_line_text(struct buffer *out, const char *text, size_t size)
{
    size_t left = strnlen(text, size + 1);
    bool cut = left > size;
    left = cut ? size : left;
    while (left > 0) {
        size_t length = text_utf8_length(text, left);
        bool split = length == 0 && cut && left < 4 && (uint8_t)*text >= 0xC0;
        if (split)
            return;
        xml_character(out, text, length);
        length = length > 0 ? length : 1;
        text += length;
        left -= length;
    }
}

static void attribute(struct buffer *out, const char *name, const char *value, size_t size)
{
    buffer_printf(out, " %s=\"", name);
    access_line_text(out, value, size);
    buffer_byte(out, '"');
}

static void code(struct buffer *out, const char *element, const char *value, const char *system, const char *name)
{
    buffer_printf(out, "<%s csd-code=\"%s\" codeSystemName=\"%s\" originalText=\"%s\"/>", element, value, system, name);
}

static void role_code(struct buffer *out, const char *value)
{
    for (size_t i = 0; value && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(roles[i].code, value) == 0)
            code(out, "RoleIDCode", value, "DCM", roles[i].name);
}

static void identification(struct buffer *out, const struct access_line *line, const struct kind *kind)
{
    char time[CLOCK_RFC3339_SIZE];
    const struct access_record *record = line->record;
    buffer_printf(out, "<EventIdentification EventActionCode=\"%c\" EventDateTime=\"%s\" EventOutcomeIndicator=\"%d\">",
                  kind->action, clock_rfc3339(time, line->time_ns), record->success ? 0 : 4);
    code(out, "EventID", kind->code, "DCM", kind->name);
    if (kind->type)
        code(out, "EventTypeCode", kind->type, "DCM", kind->type_name);
    if (record->detail[0]) {
        buffer_text(out, "<EventOutcomeDescription>");
        access_line_text(out, record->detail, ACCESS_DETAIL_MAX);
        buffer_text(out, "</EventOutcomeDescription>");
    }
    buffer_text(out, "</EventIdentification>");
}

static void participants(struct buffer *out, const struct access_line *line, const struct kind *kind)
{
    const struct access_record *record = line->record;
    buffer_text(out, "<ActiveParticipant");
    attribute(out, "UserID", record->actor, ACCESS_ACTOR_MAX);
    buffer_text(out, " UserIsRequestor=\"true\"");
    if (record->address[0]) {
        attribute(out, "NetworkAccessPointID", record->address, ACCESS_ADDRESS_MAX);
        buffer_text(out, " NetworkAccessPointTypeCode=\"2\"");
    }
    if (record->verified && *record->verified)
        attribute(out, "AlternativeUserID", record->verified, ACCESS_VERIFIED_MAX);
    buffer_byte(out, '>');
    role_code(out, kind->role);
    buffer_printf(out, "</ActiveParticipant><ActiveParticipant UserID=\"hilum\" AlternativeUserID=\"%ld\"",
                  line->process);
    buffer_text(out, " UserIsRequestor=\"false\">");
    role_code(out, kind->own_role);
    buffer_text(out, "</ActiveParticipant>");
}

static void objects(struct buffer *out, const struct access_record *record)
{
    if (record->patient[0]) {
        buffer_text(out, "<ParticipantObjectIdentification");
        attribute(out, "ParticipantObjectID", record->patient, ACCESS_PATIENT_MAX);
        buffer_text(out, " ParticipantObjectTypeCode=\"1\" ParticipantObjectTypeCodeRole=\"1\">");
        code(out, "ParticipantObjectIDTypeCode", "2", "RFC-3881", "Patient Number");
        buffer_text(out, "</ParticipantObjectIdentification>");
    }
    if (record->study[0]) {
        buffer_text(out, "<ParticipantObjectIdentification");
        attribute(out, "ParticipantObjectID", record->study, ACCESS_STUDY_MAX);
        buffer_text(out, " ParticipantObjectTypeCode=\"2\" ParticipantObjectTypeCodeRole=\"3\">");
        code(out, "ParticipantObjectIDTypeCode", "110180", "DCM", "Study Instance UID");
        buffer_text(out, "</ParticipantObjectIdentification>");
    }
}

size_t access_line_write(struct buffer *out, const struct access_line *line)
{
    char time[CLOCK_RFC3339_SIZE];
    const struct kind *kind = &kinds[line->record->event];
    // Facility 10 (security), severity 5 (notice): PS3.15 A.6.
    buffer_printf(out, "<85>1 %s %s hilum %ld DICOM+RFC3881 " ACCESS_CHAIN_START "%llu",
                  clock_rfc3339(time, line->time_ns), line->host, line->process, (unsigned long long)line->seq);
    if (line->previous)
        buffer_printf(out, ACCESS_CHAIN_PREVIOUS "%s", line->previous);
    if (line->previous && line->key)
        buffer_printf(out, ACCESS_CHAIN_KEY "%s", line->key);
    buffer_text(out, ACCESS_CHAIN_VALUE);
    size_t value_at = out->size;
    buffer_printf(out, ACCESS_CHAIN_END "[sum@32473 count=\"%llu\"] \xEF\xBB\xBF<AuditMessage>",
                  (unsigned long long)line->count);
    identification(out, line, kind);
    participants(out, line, kind);
    buffer_text(out, "<AuditSourceIdentification AuditSourceID=\"hilum\"/>");
    objects(out, line->record);
    buffer_text(out, "</AuditMessage>\n");
    return value_at;
}

const char *access_line_host(char *out, size_t capacity)
{
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    if (gethostname(out, capacity) != 0)
        out[0] = '\0';
    out[capacity - 1] = '\0';
    out[strspn(out, fit)] = '\0';
    if (out[0] == '\0')
        text_copy(out, capacity, "-");
    return out;
}
