#include <string.h>

#include "support.h"

// The runner starts this program again as its child.
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "runner") == 0 && lying_child(argc, argv))
        return 0;
    if (argc > 1 && strcmp(argv[1], "runner") == 0)
        return model_runner_main(argc - 1, argv + 1);
    return test_words() + test_fit() + test_fit_volume() + test_operators() + test_package() + test_packages() +
           test_runner() + test_answers();
}
