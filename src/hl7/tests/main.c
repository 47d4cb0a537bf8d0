#include "support/zone.h"

int test_message(void);
int test_mllp(void);
int test_python(void);
int test_writer(void);

int main(void)
{
    set_zone("UTC");
    return test_message() + test_writer() + test_mllp() + test_python();
}
