// The service room: what the outside touches, a folder each: dimse, dicomweb, api, page. It starts and stops the rooms
// below and joins them; it knows no SQL.
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"

struct service;

// The keys of the configuration file; NULL-ended list for config_complete.
extern const struct config_key *const service_config[];

// Takes the completed configuration (borrowed until service_stop). Opens the data folder, replays, listens; ready when
// it returns. NULL: nothing is left running.
struct service *service_start(const json_t *config, struct error *err);

// Stops listening, ends associations and requests (waiting for objects half received is not worth it: they were not
// acknowledged), closes the data folder. NULL is fine.
void service_stop(struct service *service);

// `configured`, or when that is "" the path `relative` to the folder of the program. false when it does not fit.
bool service_beside(char *out, size_t capacity, const char *configured, const char *relative);

uint16_t service_http_port(const struct service *service);
uint16_t service_dicom_port(const struct service *service);

#endif
