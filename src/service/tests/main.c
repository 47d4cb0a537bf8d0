#include "base/log.h"

int test_doors(void);
int test_hidden(void);
int test_id_token(void);
int test_oidc(void);

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    return test_doors() + test_hidden() + test_id_token() + test_oidc();
}
