// Attacks the reading of preamble and file meta information, and the recognition of bare data sets.
// Run by tools/fuzz.
#include <stdlib.h>
#include <string.h>

#include "dicom/part10.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dicom_meta meta, again;
    struct error err = {0};
    if (!dicom_meta_parse(data, size, &meta, &err)) {
        if (err.code == ERROR_NONE || !err.message[0])
            abort();
        return 0;
    }
    if (meta.data_offset > size || !meta.transfer_syntax[0])
        abort();
    // What is written of it reads the same, but for text that padding rules change.
    struct buffer file;
    buffer_init(&file, 4096);
    dicom_meta_write(&file, &meta);
    if (!dicom_meta_parse(file.data, file.size, &again, &err) || again.data_offset != file.size ||
        strcmp(again.transfer_syntax, meta.transfer_syntax) != 0 || strcmp(again.sop_instance, meta.sop_instance) != 0)
        abort();
    buffer_free(&file);
    return 0;
}
