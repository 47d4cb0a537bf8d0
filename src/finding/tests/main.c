#include "support.h"

#include "base/log.h"

int main(void)
{
    set_zone("UTC");
    log_set_level(LOG_LEVEL_ERROR);
    return test_text() + test_rows() + test_seg() + test_sr() + test_rejection() + test_oru() + test_fhir() +
           test_times();
}
