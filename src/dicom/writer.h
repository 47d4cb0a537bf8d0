// Makes data sets: elements are appended in rising tag order (asserted), sequences are of undefined length closed by
// delimiters, values are padded to even length by the VR's rule. What cannot be written (a DS that is not finite, a
// printf past 1,023 bytes) marks the buffer failed. Text is UTF-8: a writer for anything but ASCII writes (0008,0005)
// ISO_IR 192 itself first.
#ifndef DICOM_WRITER_H
#define DICOM_WRITER_H

#include "base/buffer.h"
#include "dicom/dicom.h"

struct dicom_writer {
    struct buffer *out; // the caller's; check it with buffer_check at the end
    bool implicit_vr;   // always little endian
    unsigned depth;
    dicom_tag last[DICOM_DEPTH_MAX + 1]; // to assert the order
};

void dicom_writer_init(struct dicom_writer *writer, struct buffer *out, bool implicit_vr);

// VR from the dictionary; the tag must be in it (asserted) and fit the call.
// any text VR; several values with backslashes; NULL writes it empty
void dicom_write_text(struct dicom_writer *writer, dicom_tag tag, const char *text);
void dicom_write_printf(struct dicom_writer *writer, dicom_tag tag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// DS (at most 16 characters), FD, FL
void dicom_write_double(struct dicom_writer *writer, dicom_tag tag, double value);
void dicom_write_doubles(struct dicom_writer *writer, dicom_tag tag, const double *values, size_t count);
// US SS UL SL UV SV IS (asserted to fit; "US or SS": SS when one is negative), AT as a dicom_tag
void dicom_write_integer(struct dicom_writer *writer, dicom_tag tag, int64_t value);
void dicom_write_integers(struct dicom_writer *writer, dicom_tag tag, const int64_t *values, size_t count);
// as they are; UI, OB, OW, UN ...
void dicom_write_bytes(struct dicom_writer *writer, dicom_tag tag, enum dicom_vr vr, const void *data, size_t size);
void dicom_write_sequence(struct dicom_writer *writer, dicom_tag tag); // opens
void dicom_write_item(struct dicom_writer *writer);                    // opens
void dicom_write_item_end(struct dicom_writer *writer);
void dicom_write_sequence_end(struct dicom_writer *writer);

#endif
