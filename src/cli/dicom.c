// How a command that speaks DICOM calls its peer: plain, or over TLS by the same policy as the server.
#include "cli/cli.h"

int cli_dicom_check(const struct cli_dicom *call)
{
    const struct {
        const char *name, *value;
    } of_tls[] = {{"authorities", call->authorities}, {"certificate", call->certificate}, {"key", call->key}};
    for (size_t i = 0; i < sizeof of_tls / sizeof *of_tls; i++)
        if (!call->tls && of_tls[i].value)
            return cli_usage("--%s goes with --tls", of_tls[i].name);
    if (!call->certificate != !call->key)
        return cli_usage("--certificate and --key go together; --%s is missing", call->key ? "certificate" : "key");
    return CLI_DONE;
}

bool cli_dicom_tls(const struct cli_dicom *call, struct tls **out, struct error *err)
{
    *out = NULL;
    if (call->tls)
        *out = tls_open(&(struct tls_options){.side = TLS_CLIENT,
                                              .certificate = call->certificate,
                                              .key = call->key,
                                              .authorities = call->authorities,
                                              .judged_later = true},
                        err);
    return *out || !call->tls;
}
