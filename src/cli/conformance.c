// hilum conformance: the DICOM conformance statement (PS3.2), in markdown, printed from the tables that the program
// runs on. It asks no server, so it says what this program can do, and the defaults of its configuration.
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "archive/archive.h"
#include "base/tls.h"
#include "cli/cli.h"
#include "dicom/charset.h"
#include "dicom/dicom.h"
#include "dimse/dimse.h"
#include "finding/finding.h"
#include "hl7/hl7.h"
#include "http/http.h"
#include "image/decoder.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_conformance = {"conformance", "", "print the DICOM conformance statement (markdown)", run,
                                            false};

static const char *class_name(const char *uid)
{
    const struct dicom_sop_class *row = dicom_sop_class(uid);
    return row ? row->name : strcmp(uid, DIMSE_VERIFICATION) == 0 ? "Verification" : "";
}

// A list with ':' between.
static void print_list(const char *list)
{
    for (size_t size; *list; list += size + (list[size] == ':')) {
        size = strcspn(list, ":");
        printf("%.*s%s", (int)size, list, list[size] ? ", " : "");
    }
}

// ---- 1

static void print_overview(void)
{
    printf("# DICOM conformance statement\n\n"
           "Hilum %s, in the structure of PS3.2. Printed by `hilum conformance` from the tables that the program runs "
           "on; write it again with `hilum conformance > docs/conformance.md`. Research use only, not a medical "
           "device.\n\n",
           HILUM_VERSION);
    printf(
        "## 1 Overview\n\n"
        "Objects of any storage class are received, kept bit for bit and served by DICOMweb. What models find is sent "
        "as DICOM objects, HL7 and FHIR.\n\n"
        "| network service | as user (SCU) | as provider (SCP) |\n|---|---|---|\n");
    struct service_door door;
    for (size_t i = 0; service_door(i, &door); i++) {
        if (!door.is_dimse)
            continue;
        bool calls = false;
        for (const struct service_call *call = service_calls; call->name; call++)
            calls = calls || strcmp(call->name, door.how) == 0;
        printf("| %s, %s | %s | yes |\n", door.how, door.what ? class_name(door.what) : "Storage",
               calls ? "yes" : "no");
    }
    printf("| DICOMweb (section 3) | no | yes |\n\nWhat is not in this table is not offered.\n\n"
           "Media: files of PS3.10 are read by `hilum import`, `send`, `dump` and `json`, with and without file meta "
           "information; a DICOMDIR is read past, and none is written.\n\n");
}

// ---- 2: networking

static const struct config_key *find_key(const char *path)
{
    for (const struct config_key *key = service_config[0]; key->path; key++)
        if (strcmp(key->path, path) == 0)
            return key;
    return NULL;
}

static void print_keys(const char *prefix)
{
    printf("| key | default | what it is |\n|---|---|---|\n");
    for (const struct config_key *key = service_config[0]; key->path; key++)
        if (strncmp(key->path, prefix, strlen(prefix)) == 0)
            printf("| `%s` | %s%s%s | %s |\n", key->path, *key->standard ? "`" : "", key->standard,
                   *key->standard ? "`" : "none", key->help);
    printf("\n");
}

static void print_association(void)
{
    printf("## 2 Networking\n\n### 2.1 Association\n\n"
           "| | |\n|---|---|\n"
           "| application context | %s |\n"
           "| implementation class UID | %s |\n"
           "| implementation version name | %s |\n"
           "| AE title | `%s` (`dicom.titles`; several may be given) |\n",
           DIMSE_APPLICATION_CONTEXT, DICOM_IMPLEMENTATION_CLASS_UID, DICOM_IMPLEMENTATION_VERSION,
           find_key("dicom.titles")->standard);
    printf("| maximum length received, announced | %d bytes |\n"
           "| maximum length sent | %d bytes, or what the peer announces |\n"
           "| least maximum length of a peer | %d bytes (0: no limit); less is rejected |\n",
           DIMSE_PDU_OFFERED, DIMSE_PDU_SENT_MAX, DIMSE_PDU_LEAST);
    printf("| presentation contexts of an association | %d; of each %d transfer syntaxes are looked at |\n"
           "| associations at once, as acceptor | %d in all; %d of a title and address (an entry may say another "
           "number); %d of those on loopback without an entry |\n",
           DIMSE_CONTEXTS_MAX, DIMSE_SYNTAXES_MAX, ACCESS_ASSOCIATIONS_ALL, ACCESS_ASSOCIATIONS_PER_PEER,
           ACCESS_ASSOCIATIONS_WITHOUT_ENTRY);
    printf("| ARTIM timer | %s s (`dicom.artim_seconds`) |\n"
           "| idle timer between messages | %s s (`dicom.idle_seconds`) |\n"
           "| asynchronous operations | one at a time; the window is not negotiated |\n"
           "| role selection, extended negotiation | not negotiated: the requestor is the SCU |\n"
           "| user identity | passed over, but a JSON Web Token, which is rejected |\n\n",
           find_key("dicom.artim_seconds")->standard, find_key("dicom.idle_seconds")->standard);
}

static void print_rejections(void)
{
    struct service_rejection rejection;
    printf("An association is rejected (PS3.8 table 9-21):\n\n| why | result | source | reason |\n|---|---|---|---|\n");
    for (size_t i = 0; service_rejection(i, &rejection); i++)
        printf("| %s | %u | %u | %u |\n", rejection.why, rejection.result, rejection.source, rejection.reason);
    printf("\nWhat cannot be read as an association request is aborted. On loopback a peer may store, find and get "
           "without an entry, but under the title of an entry that wants TLS or puts labels; from elsewhere it needs "
           "one.\n\n");
}

static const char *takes(size_t door, const char *uid)
{
    return service_door_takes(door, uid) ? "yes" : "no";
}

static void print_syntaxes(void)
{
    struct service_door door;
    size_t first = 0, end;
    while (service_door(first, &door) && !door.is_dimse)
        first++;
    printf("### 2.2 Transfer syntaxes accepted, as SCP\n\n"
           "Of those that a peer proposes for a context its first is taken, but Explicit VR Little Endian before "
           "Implicit. For storage one that is not in this table is taken as well and kept as it came. \"Decodes\" says "
           "whether frames can be given as native pixels, to models, page and WADO-RS; the others are kept and served "
           "as they came.\n\n| transfer syntax | UID |");
    for (end = first; service_door(end, &door); end++)
        printf(" %s |", door.how);
    printf(" decodes |\n|---|---|");
    for (size_t i = first; i < end; i++)
        printf("---|");
    printf("---|\n");
    for (const struct dicom_transfer_syntax *row = dicom_transfer_syntaxes(); row->uid; row++) {
        printf("| %s | %s |", row->name, row->uid);
        for (size_t i = first; i < end; i++)
            printf(" %s |", takes(i, row->uid));
        printf(" %s |\n", image_decodes(row) ? "yes" : "no");
    }
    printf("\n");
}

static void print_calls(void)
{
    static const char *const made[] = {FINDING_SEG_CLASS, FINDING_SR_CLASS, FINDING_KEY_CLASS};
    printf("### 2.3 What is proposed, as SCU\n\n| service | abstract syntax | transfer syntaxes |\n|---|---|---|\n");
    for (const struct service_call *call = service_calls; call->name; call++) {
        if (!call->proposal) {
            printf("| %s | that of the object | that of the object, as it is stored |\n", call->name);
            continue;
        }
        printf("| %s | %s (%s) | ", call->name, class_name(call->proposal->abstract), call->proposal->abstract);
        for (size_t i = 0; call->proposal->transfer[i]; i++)
            printf("%s%s", i > 0 ? ", " : "", dicom_transfer_syntax(call->proposal->transfer[i])->name);
        printf(" |\n");
    }
    printf("\nObjects that are made here, in Explicit VR Little Endian, with UIDs under 2.25 (PS3.5 Annex B.2):\n\n");
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        printf("- %s (%s)\n", class_name(made[i]), made[i]);
    printf(
        "\nA status of Bxxx is success with a warning; A7xx and 0110 are tried again; another one is a refusal that a "
        "person sees.\n\n");
}

static void print_classes(void)
{
    printf("### 2.4 Storage SOP classes accepted, as SCP\n\n"
           "Private classes, and standard ones under 1.2.840.10008.5.1.4.1.1 that are not in this table, are taken as "
           "well. Level 2 (full): all elements are kept, private ones too; nothing is coerced.\n\n| SOP class | UID |\n"
           "|---|---|\n");
    for (const struct dicom_sop_class *row = dicom_sop_classes(); row->uid; row++)
        printf("| %s | %s |\n", row->name, row->uid);
    printf("\n");
}

static void print_statuses(void)
{
    printf(
        "### 2.5 Statuses\n\n"
        "C-STORE answers 0000H when the object would survive a power cut, and never before. Else one of these with an "
        "Error Comment (0000,0902); HTTP answers problem+json (RFC 9457) with the status beside it. A command "
        "without a service is answered 0211H.\n\n| what is wrong | DIMSE | HTTP |\n|---|---|---|\n");
    for (enum error_code code = ERROR_NONE + 1; code < ERROR_CODE_COUNT; code++)
        printf("| %s | %04XH | %d |\n", error_text(code), error_dimse(code), error_http(code));
    printf("\n");
}

// ---- 3: DICOMweb

static void print_routes(const char *prefix)
{
    struct service_door door;
    printf("| method | resource | who may |\n|---|---|---|\n");
    for (size_t i = 0; service_door(i, &door); i++)
        if (!door.is_dimse && strncmp(door.what, prefix, strlen(prefix)) == 0)
            printf("| %s | `%s` | %s |\n", door.how, door.what, access_action_words(door.action));
    printf("\n");
}

static void print_attributes(void)
{
    static const char *const levels[] = {
        [ARCHIVE_STUDY] = "study", [ARCHIVE_SERIES] = "series", [ARCHIVE_INSTANCE] = "instance"};
    struct archive_attribute attribute;
    char tag[DICOM_TAG_TEXT_SIZE];
    printf("QIDO-RS gives each of these, and matches by them at its level and below (at most %d in a request):\n\n"
           "| attribute | tag | level | matching |\n|---|---|---|---|\n",
           ARCHIVE_MATCHES_MAX);
    for (size_t i = 0; archive_attribute(i, &attribute); i++) {
        const struct dicom_attribute *row = dicom_attribute(attribute.tag);
        printf("| %s | %s | %s | %s |\n", row ? row->keyword : "", dicom_tag_text(tag, attribute.tag),
               levels[attribute.level], attribute.matching ? attribute.matching : "returned only");
    }
    printf(
        "\nBesides: `limit` (at most %d, %d without), `offset`, `includefield`, `fuzzymatching`. Another parameter is "
        "400.\n\n",
        ARCHIVE_LIMIT_MAX, ARCHIVE_LIMIT_DEFAULT);
}

static void print_dicomweb(void)
{
    printf("## 3 DICOMweb\n\n");
    print_routes("/dicom-web/");
    printf(
        "Objects leave in the transfer syntax that they came in (`application/dicom`, alone or in multipart/related); "
        "another one asked for is 406. Metadata are `application/dicom+json`. At most %d connections at once, %d of "
        "an address that is not loopback.\n\n",
        HTTP_CONNECTIONS_MAX, HTTP_PER_ADDRESS_MAX);
    print_attributes();
}

// ---- 4 to 7

static void print_others(void)
{
    size_t count;
    const struct fhir_capability *resources = service_fhir(&count);
    printf("## 4 HL7 and FHIR\n\n"
           "HL7 %s over MLLP, plain or TLS, as sender: `%s`, MSH-18 %s. An acknowledgement AA or CA with the message's "
           "control ID is success; AR or CR is a refusal; else it is sent again under the same control ID. Nothing is "
           "received.\n\n"
           "FHIR R4, read only, under `/fhir`:\n\n| resource | searched by |\n|---|---|\n",
           HL7_VERSION, FINDING_ORU_TYPE, HL7_CHARSET);
    for (size_t i = 0; i < count; i++) {
        printf("| %s |", resources[i].type);
        for (size_t k = 0; k < FHIR_PARAMETERS_MAX && resources[i].parameters[k].name; k++)
            printf("%s %s (%s)", k > 0 ? "," : "", resources[i].parameters[k].name, resources[i].parameters[k].type);
        printf(" |\n");
    }
    printf("\n");
}

static void print_security(void)
{
    printf(
        "## 5 Security\n\n"
        "One policy for DICOM, HTTP, HL7 and syslog: BCP 195 (RFC 9325), the profile of PS3.15 B.12. Peers show "
        "certificates both ways over DICOM; one counts by a known authority or by its fingerprint. No renegotiation, "
        "no compression, no early data. PS3.15 B.11 and what is older is not spoken.\n\n| | |\n|---|---|\n"
        "| versions | ");
    print_list(tls_policy.versions);
    printf(" |\n| TLS 1.3 | ");
    print_list(tls_policy.suites13);
    printf(" |\n| TLS 1.2 | ");
    print_list(tls_policy.suites);
    printf(" |\n| groups | ");
    print_list(tls_policy.groups);
    printf(" |\n\nThe audit trail is PS3.15 A.5's message, sent by syslog over TLS (RFC 5425) where `audit.syslog` "
           "names a "
           "collector. Who may do what: `hilum access table`.\n\n");
}

static void print_charset(const struct dicom_charset_row *row, bool *first)
{
    printf("%s", *first ? "" : ", ");
    *first = false;
    if (row->name)
        printf("%s", row->name);
    else if (row->wide)
        printf("ISO 2022 IR %u", row->ir);
    else
        printf("ISO_IR %u", row->ir);
}

static void print_charsets(bool names)
{
    struct dicom_charset_row row;
    bool first = true;
    for (size_t i = 0; dicom_charset_row(i, &row); i++)
        if ((row.name != NULL) == names)
            print_charset(&row, &first);
    printf(".\n\n");
}

static int run(int argc, char **argv)
{
    static const struct cli_option options[] = {{NULL, NULL, NULL, NULL, NULL}};
    int status;
    if (!cli_options(&argc, argv, &cli_conformance, options, &status))
        return status;
    if (argc > 1)
        return cli_usage("conformance takes no argument '%s'", argv[1]);
    print_overview();
    print_association();
    print_rejections();
    print_syntaxes();
    print_calls();
    print_classes();
    print_statuses();
    print_dicomweb();
    print_others();
    print_security();
    printf("## 6 Character sets\n\nText is read in these, the sets of ISO 2022 with code extensions too (ISO 2022 IR "
           "n), and "
           "written in ISO_IR 192: ");
    print_charsets(false);
    printf("Names that are known, in these letters and digits whatever stands between: ");
    print_charsets(true);
    printf("## 7 Configuration\n\n");
    print_keys("dicom.");
    print_keys("http.");
    print_keys("tls.");
    return CLI_DONE;
}
