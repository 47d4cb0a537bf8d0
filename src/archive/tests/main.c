#include <string.h>

#include "support.h"

// The tests of kills start this program again as the one that is killed.
int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "put") == 0)
        return again_child_main(argv[2]);
    return test_put() + test_patients() + test_find() + test_read() + test_again();
}
