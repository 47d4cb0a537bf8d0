#include "support.h"

#include <string.h>

// The runner starts this program again as its child.
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "runner") == 0)
        return model_runner_main(argc - 1, argv + 1);
    return test_complete() + test_rules() + test_standard_rules() + test_worker() + test_results() + test_looks() +
           test_held_back() + test_earlier() + test_ask();
}
