#include "dicom/un_sequence.h"

#include "base/bytes.h"

static bool next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    (void)err;
    struct un_sequence *un = payload;
    *data = un->step == 0 ? un->header : un->value;
    *size = un->step == 0 ? sizeof un->header : un->step == 1 ? un->size : 0;
    un->step++;
    return true;
}

struct source un_sequence(struct un_sequence *un, dicom_tag tag, const uint8_t *value, uint32_t size)
{
    *un = (struct un_sequence){.value = value, .size = size};
    bytes_put_u16le(un->header, dicom_tag_group(tag));
    bytes_put_u16le(un->header + 2, dicom_tag_element(tag));
    bytes_put_u32le(un->header + 4, size);
    return (struct source){.next = next, .payload = un};
}
