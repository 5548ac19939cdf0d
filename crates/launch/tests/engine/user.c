/* A library that uses an OpenSSL. */
void *SSL_new(void *);
int SSL_read(void *, void *, int);
void SSL_free(void *);

int use(void) {
    char buffer[8] = {0};
    void *object = SSL_new(0);
    int result = SSL_read(object, buffer, (int)sizeof buffer);
    SSL_free(object);
    return result;
}
