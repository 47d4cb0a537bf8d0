#include <string.h>

#include "dicom/dicom.h"

// PS3.6 table A-1, PS3.5 Annex A. Retired JPEG processes are listed since old archives hold them.
#define IMPLICIT .implicit_vr = true
#define EXPLICIT .implicit_vr = false
#define DEFLATED .deflated = true
#define LOSSLESS .encapsulated = true
#define LOSSY .encapsulated = true, .lossy = true
static const struct dicom_transfer_syntax table[] = {
    {DICOM_TS_IMPLICIT, "Implicit VR Little Endian", IMPLICIT},
    {DICOM_TS_EXPLICIT, "Explicit VR Little Endian", EXPLICIT},
    {"1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", LOSSLESS},
    {DICOM_TS_DEFLATED, "Deflated Explicit VR Little Endian", DEFLATED},
    {DICOM_TS_BIG_ENDIAN, "Explicit VR Big Endian", .big_endian = true},
    {"1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)", LOSSY},
    {"1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 & 4)", LOSSY},
    {"1.2.840.10008.1.2.4.52", "JPEG Extended (Process 3 & 5)", LOSSY},
    {"1.2.840.10008.1.2.4.53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 & 8)", LOSSY},
    {"1.2.840.10008.1.2.4.54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 & 9)", LOSSY},
    {"1.2.840.10008.1.2.4.55", "JPEG Full Progression, Non-Hierarchical (Process 10 & 12)", LOSSY},
    {"1.2.840.10008.1.2.4.56", "JPEG Full Progression, Non-Hierarchical (Process 11 & 13)", LOSSY},
    {"1.2.840.10008.1.2.4.57", "JPEG Lossless, Non-Hierarchical (Process 14)", LOSSLESS},
    {"1.2.840.10008.1.2.4.58", "JPEG Lossless, Non-Hierarchical (Process 15)", LOSSLESS},
    {"1.2.840.10008.1.2.4.59", "JPEG Extended, Hierarchical (Process 16 & 18)", LOSSY},
    {"1.2.840.10008.1.2.4.60", "JPEG Extended, Hierarchical (Process 17 & 19)", LOSSY},
    {"1.2.840.10008.1.2.4.61", "JPEG Spectral Selection, Hierarchical (Process 20 & 22)", LOSSY},
    {"1.2.840.10008.1.2.4.62", "JPEG Spectral Selection, Hierarchical (Process 21 & 23)", LOSSY},
    {"1.2.840.10008.1.2.4.63", "JPEG Full Progression, Hierarchical (Process 24 & 26)", LOSSY},
    {"1.2.840.10008.1.2.4.64", "JPEG Full Progression, Hierarchical (Process 25 & 27)", LOSSY},
    {"1.2.840.10008.1.2.4.65", "JPEG Lossless, Hierarchical (Process 28)", LOSSLESS},
    {"1.2.840.10008.1.2.4.66", "JPEG Lossless, Hierarchical (Process 29)", LOSSLESS},
    {"1.2.840.10008.1.2.4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction", LOSSLESS},
    {"1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", LOSSLESS},
    {"1.2.840.10008.1.2.4.81", "JPEG-LS Lossy (Near-Lossless)", LOSSY},
    {"1.2.840.10008.1.2.4.90", "JPEG 2000 (Lossless Only)", LOSSLESS},
    {"1.2.840.10008.1.2.4.91", "JPEG 2000", LOSSY},
    {"1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", LOSSLESS},
    {"1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component", LOSSY},
    {"1.2.840.10008.1.2.4.94", "JPIP Referenced", EXPLICIT, .by_reference = true},
    {"1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", DEFLATED, .by_reference = true},
    {"1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level", LOSSY},
    {"1.2.840.10008.1.2.4.100.1", "Fragmentable MPEG2 Main Profile / Main Level", LOSSY},
    {"1.2.840.10008.1.2.4.101", "MPEG2 Main Profile / High Level", LOSSY},
    {"1.2.840.10008.1.2.4.101.1", "Fragmentable MPEG2 Main Profile / High Level", LOSSY},
    {"1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", LOSSY},
    {"1.2.840.10008.1.2.4.102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", LOSSY},
    {"1.2.840.10008.1.2.4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", LOSSY},
    {"1.2.840.10008.1.2.4.103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", LOSSY},
    {"1.2.840.10008.1.2.4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", LOSSY},
    {"1.2.840.10008.1.2.4.104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", LOSSY},
    {"1.2.840.10008.1.2.4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", LOSSY},
    {"1.2.840.10008.1.2.4.105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", LOSSY},
    {"1.2.840.10008.1.2.4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", LOSSY},
    {"1.2.840.10008.1.2.4.106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", LOSSY},
    {"1.2.840.10008.1.2.4.107", "HEVC/H.265 Main Profile / Level 5.1", LOSSY},
    {"1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1", LOSSY},
    {"1.2.840.10008.1.2.4.110", "JPEG XL Lossless", LOSSLESS},
    {"1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression", LOSSY},
    {"1.2.840.10008.1.2.4.112", "JPEG XL", LOSSY},
    {"1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 (Lossless Only)", LOSSLESS},
    {"1.2.840.10008.1.2.4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", LOSSLESS},
    {"1.2.840.10008.1.2.4.203", "High-Throughput JPEG 2000", LOSSY},
    {"1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced", EXPLICIT, .by_reference = true},
    {"1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", DEFLATED, .by_reference = true},
    {"1.2.840.10008.1.2.5", "RLE Lossless", LOSSLESS},
    {"1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", LOSSLESS},
    {"1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", IMPLICIT},
    {"1.2.840.113619.5.2", "GE Private Implicit VR Little Endian with Big Endian Pixel Data", IMPLICIT,
     .big_endian_pixels = true},
    {.uid = NULL},
};

const struct dicom_transfer_syntax *dicom_transfer_syntaxes(void)
{
    return table;
}

const struct dicom_transfer_syntax *dicom_transfer_syntax(const char *uid)
{
    for (const struct dicom_transfer_syntax *row = table; row->uid; row++)
        if (strcmp(row->uid, uid) == 0)
            return row;
    return NULL;
}

const struct dicom_transfer_syntax *dicom_transfer_syntax_or_default(const char *uid)
{
    static const struct dicom_transfer_syntax unknown = {
        "", "unknown, taken as explicit VR little endian, encapsulated", LOSSLESS};
    const struct dicom_transfer_syntax *row = dicom_transfer_syntax(uid);
    return row ? row : &unknown;
}
