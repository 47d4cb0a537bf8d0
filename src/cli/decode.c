// hilum decode: a sandboxed child of the server; it reads its work from a socket.
#include <string.h>

#include "cli/cli.h"
#include "image/decoder.h"

static int run(int argc, char **argv);

const struct cli_command cli_decode = {"decode", "", "decode pixels in a sandbox (started by serve)", run, true};

static int run(int argc, char **argv)
{
    return image_decode_main(argc > 1 && strcmp(argv[1], "reduced") == 0);
}
