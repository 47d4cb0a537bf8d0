#include "support.h"

int main(void)
{
    return test_complete() + test_rules() + test_standard_rules();
}
