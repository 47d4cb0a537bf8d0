#include <string.h>

#include "support.h"

// The tests of kills start this program again as the one that is killed; and it is its own decode child.
int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "put") == 0)
        return again_child_main(argv[2]);
    if (argc > 1 && strcmp(argv[1], "decode") == 0)
        return image_decode_main(argc > 2);
    return test_put() + test_patients() + test_conflicts() + test_find() + test_read() + test_labels() + test_again();
}
