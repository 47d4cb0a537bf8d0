#include "support.h"

#include "base/log.h"

int test_associate(void);
int test_interop(void);
int test_message(void);
int test_requestor(void);
int test_states(void);
int test_timers(void);

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    return test_states() + test_associate() + test_message() + test_timers() + test_requestor() + test_interop();
}
