// hilum runner: a sandboxed child of the server that runs one model.
#include "cli/cli.h"
#include "model/model.h"

static int run(int argc, char **argv);

const struct cli_command cli_runner = {"runner", "", "run a model in a sandbox (started by serve)", run, true};

static int run(int argc, char **argv)
{
    return model_runner_main(argc, argv);
}
