// The check of what is ours: listeners, certificate, disk, clock, the way to the audit's collector.
#include "service/check/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define END_SOON_NS (30 * 86400 * CLOCK_SECOND)

void check_server(struct check *check)
{
    char address[SERVICE_ADDRESS_SIZE];
    check->names.error = service_dicom_address(check->service, address);
    check_say(check, "listens", CHECK_OK, "DICOM at {error}, as {ours}", "");
    check->names.error = service_http_address(check->service, address);
    check_say(check, "listens for browsers", CHECK_OK, "HTTP at {error}", "");
    check->names.error = config_text(check->service->config, "dicom.tls_listen");
    if (*check->names.error)
        check_say(check, "listens over TLS", CHECK_OK, "DICOM over TLS at {error}, as {ours}", "");
    check->names.error = config_text(check->service->config, "http.tls_listen");
    if (*check->names.error)
        check_say(check, "listens for browsers over TLS", CHECK_OK, "HTTPS at {error}", "");
}

static void tell_faults(struct check *check)
{
    struct tls_fault faults[TLS_FAULTS_MAX];
    size_t count = service_tls_faults(check->service->tls, faults);
    for (size_t i = 0; i < count; i++) {
        check->names.error = faults[i].said;
        check_say(check, "what others see", CHECK_FAILED, "{error}",
                  arena_printf(check->arena, "on this side: %s (tls.certificate)", faults[i].remedy));
    }
}

void check_certificate(struct check *check)
{
    char when[CLOCK_RFC3339_SIZE];
    int64_t ends_ns = service_tls_ends_ns(check->service->tls), left_ns = ends_ns - clock_now_ns();
    if (ends_ns == INT64_MAX) {
        check_say(check, "certificate", CHECK_UNKNOWN, "no certificate is configured: nothing here speaks TLS",
                  "on this side: tls.certificate and tls.key; `hilum cert` makes them");
        return;
    }
    check->names.error = clock_rfc3339(when, ends_ns);
    if (left_ns <= 0)
        check_say(check, "certificate", CHECK_FAILED, "our certificate has ended at {error}",
                  "on this side: renew the file of tls.certificate; it is taken without a restart");
    else if (left_ns < END_SOON_NS)
        check_say(check, "certificate", CHECK_WARNING, "our certificate ends at {error}",
                  "on this side: renew the file of tls.certificate; it is taken without a restart");
    else
        check_say(check, "certificate", CHECK_OK, "our certificate ends at {error}", "");
    tell_faults(check);
}

static void tell_space(struct check *check)
{
    struct store_space space;
    struct error err;
    if (!store_space(check->service->store, &space)) {
        check_say(check, "space", CHECK_FAILED, "the file system does not say what is free",
                  "on this side: see to the disk that holds the data folder");
        return;
    }
    bool can = store_can_write(check->service->store, &err);
    check->names.error = arena_printf(check->arena, "%" PRIu64 " MiB are free, the low-water mark is %" PRIu64 " MiB",
                                      space.free_bytes >> 20, space.low_water_bytes >> 20);
    if (space.free_bytes < space.low_water_bytes || !can)
        check_say(check, "space", CHECK_FAILED, "the disk is full, and objects are refused: {error}",
                  "on this side: give the data folder a larger disk, or free some of it");
    else
        check_say(check, "space", CHECK_OK, "{error}", "");
}

static bool write_and_sync(const char *folder, struct error *err)
{
    static const char block[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, block, sizeof block) == (ssize_t)sizeof block && fsync(fd) == 0;
    if (!ok)
        error_errno(err, errno, "a file in %s cannot be written", folder);
    if (fd >= 0)
        close(fd);
    return ok;
}

void check_disk(struct check *check)
{
    struct error err;
    tell_space(check);
    int64_t began_ns = clock_monotonic_ns();
    if (!write_and_sync(config_text(check->service->config, "data"), &err)) {
        check->names.error = err.message;
        check_say(check, "write", CHECK_FAILED, "{error}", "on this side: see to the disk that holds the data folder");
        return;
    }
    check->names.error = arena_printf(check->arena, "%.1f", (double)(clock_monotonic_ns() - began_ns) / 1e6);
    check_say(check, "write", CHECK_OK, "4 KiB were written and synced in {error} ms", "");
}

enum check_state check_synchronised(void)
{
    struct timex state = {0};
    int answer = adjtimex(&state);
    return answer < 0 ? CHECK_UNKNOWN : answer == TIME_ERROR || (state.status & STA_UNSYNC) ? CHECK_WARNING : CHECK_OK;
}

void check_clock(struct check *check)
{
    struct heard_clock heard;
    enum check_state state = check_synchronised();
    if (state == CHECK_UNKNOWN)
        check_say(check, "synchronised", CHECK_UNKNOWN, "the kernel does not say whether the clock is synchronised",
                  "on this side: see to chrony or systemd-timesyncd");
    else if (state == CHECK_WARNING)
        check_say(check, "synchronised", CHECK_WARNING,
                  "the kernel says that nothing synchronises this machine's clock",
                  "on this side: let chrony or systemd-timesyncd run, with the hospital's time server");
    else
        check_say(check, "synchronised", CHECK_OK, "the clock is synchronised", "");
    for (size_t i = 0; heard_clock_at(check->service->heard, i, &heard); i++)
        check_clock_of(check, &heard, check_synchronised() == CHECK_OK);
}

void check_audit(struct check *check)
{
    char host[SERVICE_HOST_SIZE];
    struct check_target to = {host, 0, true, config_text(check->service->config, "audit.syslog_certificate")};
    service_listen_address(check->service->config, "audit.syslog", host, &to.port);
    check_reach(check, &to);
}
