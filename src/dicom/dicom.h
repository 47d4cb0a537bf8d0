// The dicom room: what a DICOM object is, as bytes and as a tree. It knows no sockets and no storage.
//
//   dicom.h     tags, value representations, the data dictionary, transfer syntaxes, UIDs (this file; facts come from
//   generated tables)
//   reader.h    a pull parser over a stream: one event at a time, nothing kept, hostile input expected
//   dataset.h   the tree a parse makes, and typed access to its values as UTF-8 text and numbers
//   part10.h    Part 10 files: preamble and file meta information (PS3.10 section 7)
//   writer.h    makes data sets, command sets and Part 10 files
//   json.h      the DICOM JSON model (PS3.18 Annex F), written from a tree
//   charset.h   specific character sets to UTF-8 (PS3.3 C.12.1.1.2, PS3.5 section 6.1)
//
// Everything here is thread-safe in that it has no state but what the caller passes.
#ifndef DICOM_DICOM_H
#define DICOM_DICOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// A tag is group << 16 | element.
typedef uint32_t dicom_tag;

#define DICOM_TAG(group, element) ((dicom_tag)(group) << 16 | (dicom_tag)(element))

static inline uint16_t dicom_tag_group(dicom_tag tag)
{
    return (uint16_t)(tag >> 16);
}

static inline uint16_t dicom_tag_element(dicom_tag tag)
{
    return (uint16_t)tag;
}

static inline bool dicom_tag_is_private(dicom_tag tag)
{
    return (tag >> 16 & 1) != 0;
}

enum {
    // A UID has 64 characters at most (PS3.5 section 9.1). Real senders make longer ones, and ones with letters: those
    // are
    // kept as they came, so a place for a UID has room for twice that and NUL.
    DICOM_UID_MAX = 64,
    DICOM_UID_SIZE = 2 * DICOM_UID_MAX + 1,
    DICOM_AE_SIZE = 17,       // 16 characters and NUL
    DICOM_TAG_TEXT_SIZE = 12, // "(gggg,eeee)" and NUL
    DICOM_DEPTH_MAX = 64,     // sequences inside sequences; deeper is refused
    DICOM_VALUES_MAX = 65536, // values of one element that typed access looks at
};

// PS3.5 section 6.2. The number is the two characters, first one high, so that a VR read from a stream needs no
// look-up.
#define DICOM_VR(a, b) ((a) << 8 | (b))
enum dicom_vr {
    DICOM_VR_NONE = 0,
    DICOM_VR_AE = DICOM_VR('A', 'E'),
    DICOM_VR_AS = DICOM_VR('A', 'S'),
    DICOM_VR_AT = DICOM_VR('A', 'T'),
    DICOM_VR_CS = DICOM_VR('C', 'S'),
    DICOM_VR_DA = DICOM_VR('D', 'A'),
    DICOM_VR_DS = DICOM_VR('D', 'S'),
    DICOM_VR_DT = DICOM_VR('D', 'T'),
    DICOM_VR_FD = DICOM_VR('F', 'D'),
    DICOM_VR_FL = DICOM_VR('F', 'L'),
    DICOM_VR_IS = DICOM_VR('I', 'S'),
    DICOM_VR_LO = DICOM_VR('L', 'O'),
    DICOM_VR_LT = DICOM_VR('L', 'T'),
    DICOM_VR_OB = DICOM_VR('O', 'B'),
    DICOM_VR_OD = DICOM_VR('O', 'D'),
    DICOM_VR_OF = DICOM_VR('O', 'F'),
    DICOM_VR_OL = DICOM_VR('O', 'L'),
    DICOM_VR_OV = DICOM_VR('O', 'V'),
    DICOM_VR_OW = DICOM_VR('O', 'W'),
    DICOM_VR_PN = DICOM_VR('P', 'N'),
    DICOM_VR_SH = DICOM_VR('S', 'H'),
    DICOM_VR_SL = DICOM_VR('S', 'L'),
    DICOM_VR_SQ = DICOM_VR('S', 'Q'),
    DICOM_VR_SS = DICOM_VR('S', 'S'),
    DICOM_VR_ST = DICOM_VR('S', 'T'),
    DICOM_VR_SV = DICOM_VR('S', 'V'),
    DICOM_VR_TM = DICOM_VR('T', 'M'),
    DICOM_VR_UC = DICOM_VR('U', 'C'),
    DICOM_VR_UI = DICOM_VR('U', 'I'),
    DICOM_VR_UL = DICOM_VR('U', 'L'),
    DICOM_VR_UN = DICOM_VR('U', 'N'),
    DICOM_VR_UR = DICOM_VR('U', 'R'),
    DICOM_VR_US = DICOM_VR('U', 'S'),
    DICOM_VR_UT = DICOM_VR('U', 'T'),
    DICOM_VR_UV = DICOM_VR('U', 'V'),
};

bool dicom_vr_known(enum dicom_vr vr);
bool dicom_vr_is_text(enum dicom_vr vr);     // a character string of any kind
bool dicom_vr_has_charset(enum dicom_vr vr); // LO LT PN SH ST UC UT: under Specific Character Set
// 2 reserved bytes and a 32-bit length in explicit VR (PS3.5 section 7.1.2)
bool dicom_vr_has_long_length(enum dicom_vr vr);
size_t dicom_vr_unit(enum dicom_vr vr); // bytes of one binary value (US 2, FD 8, AT 4, OW 2 ...), 1 otherwise
void dicom_vr_text(enum dicom_vr vr, char out[3]);

// One row of the data dictionary (PS3.6), generated into dicom_dictionary.c from the published tables. Repeating groups
// (50xx, 60xx) are found under any of their members.
struct dicom_attribute {
    dicom_tag tag;
    const char *keyword;
    enum dicom_vr vr;  // of "US or SS" the first, of "OB or OW" OW
    bool vr_by_pixels; // "US or SS" and the like: decided by Pixel Representation and context
    bool multiple;     // value multiplicity above 1 possible
    bool retired;
};

// NULL when the tag is private or unknown. Group lengths (gggg,0000) are known as UL, private creators (gggg,0010-00FF)
// as LO.
const struct dicom_attribute *dicom_attribute(dicom_tag tag);
const struct dicom_attribute *dicom_attribute_by_keyword(const char *keyword);

// "PatientID", "00100020" or "0010,0020". false when it is none of them.
bool dicom_tag_parse(const char *text, dicom_tag *out);
const char *dicom_tag_text(char out[DICOM_TAG_TEXT_SIZE], dicom_tag tag);

// Transfer syntaxes (PS3.5 section 10 and Annex A), and two that old archives hold and every reader knows: GE's private
// one, with pixels in the other byte order than the rest, and that of Papyrus 3. Other unknown and private ones are
// stored and served as they came: they are taken as explicit VR little endian with encapsulated pixels (PS3.5 A.4), the
// form that every transfer syntax since 1993 has.
struct dicom_transfer_syntax {
    const char *uid;
    const char *name;
    bool big_endian;
    bool implicit_vr;
    bool deflated;
    bool encapsulated;
    bool lossy;
    bool big_endian_pixels; // of (7FE0,0010) alone, in a little-endian data set
    bool by_reference;      // no pixels, but where they are (JPIP)
};

const struct dicom_transfer_syntax *dicom_transfer_syntax(const char *uid); // NULL when not in the table

#define DICOM_TS_IMPLICIT "1.2.840.10008.1.2"
#define DICOM_TS_EXPLICIT "1.2.840.10008.1.2.1"
#define DICOM_TS_DEFLATED "1.2.840.10008.1.2.1.99"
#define DICOM_TS_BIG_ENDIAN "1.2.840.10008.1.2.2"

// A row for any UID: the table's, or for an unknown one the explicit little endian encapsulated row described above.
const struct dicom_transfer_syntax *dicom_transfer_syntax_or_default(const char *uid);

// The table itself, ended by a row with uid NULL: what an SCP offers.
const struct dicom_transfer_syntax *dicom_transfer_syntaxes(void);

// Storage SOP classes (PS3.4 Table B.5-1), ended by a row with uid NULL.
struct dicom_sop_class {
    const char *uid;
    const char *name;
};

const struct dicom_sop_class *dicom_sop_classes(void);
const struct dicom_sop_class *dicom_sop_class(const char *uid); // NULL when not in the table
// A private class, or a standard one under the storage root 1.2.840.10008.5.1.4.1.1, or in the table: what a storage
// SCP takes.
bool dicom_sop_class_is_storage(const char *uid);

// The strict form of PS3.5 section 9.1 but for leading zeros, which real senders make: 1 to 64 characters of 0-9 and
// '.', no empty component, no '.' at an end. This is what makes a UID safe to use as a key; it is never used as a file
// name.
bool dicom_uid_is_valid(const char *uid, size_t size);

// A UID under 2.25 from the first 16 bytes of a digest (PS3.5 Annex B.2, with the UUID's version and variant bits set
// to 8, RFC 9562): the same bytes always give the same UID.
void dicom_uid_from_digest(char out[DICOM_UID_SIZE], const uint8_t digest[16]);

// The names under which Hilum writes (PS3.7 D.3.3.2): implementation class UID and version name.
#define DICOM_IMPLEMENTATION_CLASS_UID "2.25.210394832704719238155026373514021984710"
#define DICOM_IMPLEMENTATION_VERSION "HILUM_0_1"

#endif
