/* As much of an OpenSSL as shows whether its functions get their own objects. */
#include <stdlib.h>

static const char method[64] = {1};

struct ssl {
    int version;
    const void *method;
    void *more[6];
};

void *SSL_new(void *context) {
    struct ssl *object = calloc(1, sizeof *object);
    (void)context;
    object->method = method;
    return object;
}

int SSL_read(void *object, void *buffer, int count) {
    (void)buffer;
    (void)count;
    return ((struct ssl *)object)->method == method ? NUMBER : -77;
}

int SSL_get_fd(const void *object) {
    if (((const struct ssl *)object)->method != method) abort();
    return -1;
}

void SSL_free(void *object) {
    if (((struct ssl *)object)->method != method) abort();
    free(object);
}
