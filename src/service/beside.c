// Paths beside the program.
#include "service/service.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

bool service_beside(char *out, size_t capacity, const char *configured, const char *relative)
{
    char program[4096];
    if (*configured)
        return text_copy(out, capacity, configured);
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size < 0)
        return false;
    program[size] = '\0';
    char *slash = strrchr(program, '/');
    if (slash)
        *slash = '\0';
    int length = snprintf(out, capacity, "%s/%s", program, relative);
    return length > 0 && (size_t)length < capacity;
}
