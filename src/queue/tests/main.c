#include "place.h"

#include <string.h>

#include "base/log.h"

// The tests of crashes start this program again as a worker.
int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_ERROR);
    if (argc == 3 && strcmp(argv[1], "worker") == 0)
        crashes_work(argv[2]);
    return test_jobs() + test_outbox() + test_consumer() + test_crashes();
}
