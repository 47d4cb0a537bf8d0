#include <string.h>

#include "base/log.h"
#include "helper.h"

int main(int argc, char **argv)
{
    log_set_level(LOG_LEVEL_ERROR + 1); // the failures here are wanted
    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return helper_child_main(argv[2], argv[3]);
    return test_database() + test_events() + test_lanes() + test_replay() + test_faults() + test_threads() +
           test_spares() + test_identity() + test_backup();
}
