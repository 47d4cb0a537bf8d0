#include "base/log.h"

int test_doors(void);
int test_hidden(void);

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    return test_doors() + test_hidden();
}
