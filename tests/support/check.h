// What every test program needs around cmocka.
#ifndef SUPPORT_CHECK_H
#define SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

// Asserts that `call` is true, and prints *err when it is not.
#define assert_ok(call, err)                                                                                           \
    do {                                                                                                               \
        if (!(call)) {                                                                                                 \
            print_error("%s: %s\n", error_name((err).code), (err).message);                                            \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

#endif
