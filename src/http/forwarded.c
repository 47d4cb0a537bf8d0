// Where a request comes from, when a proxy that is trusted stands in front: Forwarded (RFC 7239), else X-Forwarded-For
// and X-Forwarded-Proto. Each proxy adds to the right; from there on those that are trusted are passed over, and the
// first other one is the client. What a client says of itself stands further left, and counts for nothing.
#include "http/internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { NODE_SIZE = 80 };

static bool parse_address(const char *text, struct in6_addr *out)
{
    struct in_addr v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = (struct in6_addr){0};
        out->s6_addr[10] = out->s6_addr[11] = 0xFF;
        memcpy(out->s6_addr + 12, &v4, 4);
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

static bool is_trusted(const struct http_server *server, const struct in6_addr *address)
{
    char one[INET6_ADDRSTRLEN];
    struct in6_addr proxy;
    for (const char *p = server->trusted_proxies; *p;) {
        size_t size = strcspn(p, ", ");
        if (text_copy_n(one, sizeof one, p, size) && parse_address(one, &proxy) &&
            memcmp(&proxy, address, sizeof proxy) == 0)
            return true;
        p += size + strspn(p + size, ", ");
    }
    return false;
}

bool http_check_proxies(const char *text, struct error *err)
{
    char one[INET6_ADDRSTRLEN], shown[NODE_SIZE];
    struct in6_addr proxy;
    for (size_t size; *text; text += size, text += strspn(text, ", ")) {
        size = strcspn(text, ", ");
        if (!text_copy_n(one, sizeof one, text, size) || !parse_address(one, &proxy))
            return error_set(err, ERROR_BAD_VALUE, "'%s' is no numeric address of a proxy",
                             text_show(shown, sizeof shown, text, size));
    }
    return true;
}

// "192.0.2.1", "192.0.2.1:47011", "[2001:db8::1]", "[2001:db8::1]:47011", each perhaps in quotes.
static bool parse_node(const char *text, size_t size, struct in6_addr *out)
{
    char node[NODE_SIZE];
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
        text++;
        size -= 2;
    }
    if (size > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', size);
        return end && text_copy_n(node, sizeof node, text + 1, (size_t)(end - text) - 1) && parse_address(node, out);
    }
    const char *colon = memchr(text, ':', size);
    bool port = colon && !memchr(colon + 1, ':', size - (size_t)(colon + 1 - text));
    return text_copy_n(node, sizeof node, text, port ? (size_t)(colon - text) : size) && parse_address(node, out);
}

// The last element of a list with commas, without blanks around; *size of the list becomes that of what is before it.
static const char *last_of(const char *list, size_t *size, size_t *length)
{
    size_t end = *size;
    while (end > 0 && (list[end - 1] == ' ' || list[end - 1] == '\t'))
        end--;
    size_t start = end;
    while (start > 0 && list[start - 1] != ',')
        start--;
    *size = start > 0 ? start - 1 : 0;
    while (start < end && (list[start] == ' ' || list[start] == '\t'))
        start++;
    *length = end - start;
    return list + start;
}

// The value of a parameter of a Forwarded element; NULL: it has none.
static const char *parameter(const char *element, size_t size, const char *name, size_t *length)
{
    const size_t name_size = strlen(name);
    for (size_t at = 0; at < size;) {
        const char *pair = element + at;
        const char *end = memchr(pair, ';', size - at);
        size_t pair_size = end ? (size_t)(end - pair) : size - at;
        while (pair_size > 0 && *pair == ' ') {
            pair++;
            pair_size--;
        }
        if (pair_size > name_size && pair[name_size] == '=' && strncasecmp(pair, name, name_size) == 0) {
            *length = pair_size - name_size - 1;
            return pair + name_size + 1;
        }
        at = end ? (size_t)(end - element) + 1 : size;
    }
    return NULL;
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return text && size == strlen(word) && strncasecmp(text, word, size) == 0;
}

// Both lists have an element for each proxy; of a list that is shorter the last one counts for all.
static void walk(struct http_request *request, const char *list, bool is_rfc, const char *protocols)
{
    const struct http_server *server = request->connection->server;
    struct in6_addr address = request->connection->address;
    size_t left = strlen(list), protocols_left = protocols ? strlen(protocols) : 0, length, node_size;
    while (left > 0 && is_trusted(server, &address)) {
        const char *element = last_of(list, &left, &length);
        const char *node = is_rfc ? parameter(element, length, "for", &node_size) : element;
        if (!is_rfc)
            node_size = length;
        if (is_rfc) {
            const char *protocol = parameter(element, length, "proto", &length);
            request->secure = is_word(protocol, length, "https");
        } else if (protocols_left > 0) {
            const char *protocol = last_of(protocols, &protocols_left, &length);
            request->secure = is_word(protocol, length, "https");
        }
        if (!node || !parse_node(node, node_size, &address))
            return; // "unknown", or hidden: the proxy is all that is known
        char text[INET6_ADDRSTRLEN];
        http_address_text(&address, text);
        request->client = arena_strdup(&request->arena, text);
    }
}

void http_look_at_proxies(struct http_request *request)
{
    const struct http_connection *connection = request->connection;
    request->secure = connection->secure;
    if (!is_trusted(connection->server, &connection->address))
        return;
    const char *rfc = http_header(request, "Forwarded"), *list = http_header(request, "X-Forwarded-For");
    const char *protocols = http_header(request, "X-Forwarded-Proto");
    if (rfc)
        walk(request, rfc, true, NULL);
    else if (list || protocols)
        walk(request, list ? list : "", false, protocols);
    if (!rfc && !list && protocols)
        request->secure = is_word(protocols, strlen(protocols), "https");
}
