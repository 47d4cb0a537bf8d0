// The DICOM port: accepts connections and gives each a thread, within limits that hold before anything is read.
#include "service/dimse/dimse_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire.h"

struct dimse_service *dimse_service_start(struct service *service, struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    struct dimse_service *dimse = calloc(1, sizeof *dimse);
    if (!dimse) {
        error_set(err, ERROR_MEMORY, "no memory for the DICOM listener");
        return NULL;
    }
    service_listen_address(service->config, "dicom.listen", host, &port);
    dimse->service = service;
    dimse->timers = dimse_timers_default;
    dimse->timers.artim_ns = config_integer(service->config, "dicom.artim_seconds") * CLOCK_SECOND;
    dimse->timers.idle_ns = config_integer(service->config, "dicom.idle_seconds") * CLOCK_SECOND;
    pthread_mutex_init(&dimse->mutex, NULL);
    pthread_cond_init(&dimse->ended, NULL);
    dimse->socket = wire_listen(host, port, err);
    dimse->wake = eventfd(0, EFD_CLOEXEC);
    if (dimse->socket >= 0 && dimse->wake >= 0 && pthread_create(&dimse->thread, NULL, dimse_service_run, dimse) == 0)
        return dimse;
    if (dimse->socket >= 0) {
        close(dimse->socket);
        error_set(err, ERROR_MEMORY, "cannot start the DICOM listener");
    }
    if (dimse->wake >= 0)
        close(dimse->wake);
    free(dimse);
    return NULL;
}

uint16_t dimse_service_port(const struct dimse_service *dimse)
{
    return wire_port(dimse->socket);
}

static void address_text(const struct sockaddr_storage *address, char *out, socklen_t size)
{
    const void *bytes = address->ss_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)address)->sin_addr;
    if (!inet_ntop(address->ss_family, bytes, out, size))
        text_copy(out, size, "?");
}

// A free slot, unless the address holds too many that have not yet been admitted. Under the mutex.
static struct dimse_slot *find_slot(struct dimse_service *dimse, const char *address, bool *pressed)
{
    struct dimse_slot *free_slot = NULL;
    size_t waiting = 0;
    for (size_t i = 0; i < DIMSE_SLOTS; i++) {
        struct dimse_slot *slot = &dimse->slots[i];
        if (!slot->used)
            free_slot = slot;
        else if (!slot->admitted && strcmp(slot->address, address) == 0)
            waiting++;
    }
    *pressed = waiting >= DIMSE_LINGERING_PER_ADDRESS;
    return waiting < DIMSE_WAITING_PER_ADDRESS ? free_slot : NULL;
}

static bool start_thread(struct dimse_slot *slot)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, DIMSE_STACK);
    bool ok = pthread_create(&thread, &attributes, dimse_service_association, slot) == 0;
    pthread_attr_destroy(&attributes);
    return ok;
}

static void take(struct dimse_service *dimse, int fd, const char *address)
{
    bool pressed = false;
    pthread_mutex_lock(&dimse->mutex);
    struct dimse_slot *slot = dimse->stopping ? NULL : find_slot(dimse, address, &pressed);
    if (slot) {
        *slot = (struct dimse_slot){.used = true, .pressed = pressed, .fd = fd, .dimse = dimse};
        text_copy(slot->address, sizeof slot->address, address);
        dimse->running++;
    }
    pthread_mutex_unlock(&dimse->mutex);
    if (slot && start_thread(slot))
        return;
    if (slot)
        dimse_service_leave(slot);
    atomic_fetch_add(&dimse->service->counters.associations_refused, 1);
    close(fd);
}

void dimse_service_leave(struct dimse_slot *slot)
{
    struct dimse_service *dimse = slot->dimse;
    pthread_mutex_lock(&dimse->mutex);
    slot->used = false;
    slot->association = NULL;
    if (--dimse->running == 0)
        pthread_cond_signal(&dimse->ended);
    pthread_mutex_unlock(&dimse->mutex);
}

void *dimse_service_run(void *payload)
{
    struct dimse_service *dimse = payload;
    struct pollfd waits[] = {{.fd = dimse->socket, .events = POLLIN}, {.fd = dimse->wake, .events = POLLIN}};
    for (;;) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        char address[INET6_ADDRSTRLEN];
        if (poll(waits, 2, -1) < 0 && errno != EINTR)
            break;
        if (waits[1].revents)
            break;
        int fd = accept4(dimse->socket, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
        if (fd < 0) {
            // Out of descriptors: what runs must end first; do not spin meanwhile.
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
                clock_sleep_ns(50 * CLOCK_MS);
            continue;
        }
        address_text(&from, address, sizeof address);
        take(dimse, fd, address);
    }
    return NULL;
}

static void interrupt_all(struct dimse_service *dimse)
{
    pthread_mutex_lock(&dimse->mutex);
    dimse->stopping = true;
    for (size_t i = 0; i < DIMSE_SLOTS; i++) {
        struct dimse_slot *slot = &dimse->slots[i];
        if (slot->used && slot->association)
            dimse_interrupt(slot->association);
        else if (slot->used && slot->fd >= 0)
            shutdown(slot->fd, SHUT_RDWR);
    }
    while (dimse->running > 0)
        pthread_cond_wait(&dimse->ended, &dimse->mutex);
    pthread_mutex_unlock(&dimse->mutex);
}

void dimse_service_stop(struct dimse_service *dimse)
{
    uint64_t one = 1;
    if (!dimse)
        return;
    if (write(dimse->wake, &one, sizeof one) != sizeof one)
        log_error("dimse", "cannot wake the listener");
    pthread_join(dimse->thread, NULL);
    close(dimse->socket);
    interrupt_all(dimse);
    close(dimse->wake);
    pthread_mutex_destroy(&dimse->mutex);
    pthread_cond_destroy(&dimse->ended);
    free(dimse);
}
