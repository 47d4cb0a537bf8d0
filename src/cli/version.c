#include <stdio.h>

#include "cli/cli.h"
#include "dicom/dicom.h"

static int run(int argc, char **argv);

const struct cli_command cli_version = {"version", "", "print the version", run, false};

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("hilum %s, DICOM implementation %s (%s)\n", HILUM_VERSION, DICOM_IMPLEMENTATION_CLASS_UID,
           DICOM_IMPLEMENTATION_VERSION);
    return CLI_DONE;
}
