#include "place.h"

#include "base/log.h"

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    return test_login() + test_peers() + test_provider() + test_admission() + test_allow() + test_labels() +
           test_audit() + test_audit_chain() + test_audit_anchor() + test_audit_read();
}
