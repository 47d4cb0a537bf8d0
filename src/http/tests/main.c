#include "fixture.h"

int main(void)
{
    return test_requests() + test_limits() + test_replies() + test_events() + test_websocket() + test_upgrade() +
           test_client();
}
