#include <stdio.h>

#include "cli/cli.h"
#include "dicom/dicom.h"

static int run(int argc, char **argv);

const struct cli_command cli_version = {"version", "", "print the version", run, false};

static int run(int argc, char **argv)
{
    static const struct cli_option options[] = {{NULL, NULL, NULL, NULL, NULL}};
    int status;
    if (!cli_options(&argc, argv, &cli_version, options, &status))
        return status;
    if (argc > 1)
        return cli_usage("version takes no argument '%s'", argv[1]);
    printf("hilum %s, DICOM implementation %s (%s)\n", HILUM_VERSION, DICOM_IMPLEMENTATION_CLASS_UID,
           DICOM_IMPLEMENTATION_VERSION);
    return CLI_DONE;
}
