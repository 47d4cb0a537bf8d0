// The log: one line an event on stderr, for an administrator at 3 a.m. "TIME LEVEL ROOM MESSAGE"; control characters
// and line ends in the message are escaped. Any thread. No patient's name or identifier goes here: that is the audit's
// (access).
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

void log_set_level(enum log_level least);

void log_debug(const char *room, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *room, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *room, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(const char *room, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
