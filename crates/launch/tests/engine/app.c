/* What programs do to the engine. The first argument names the scenario; exit code 0: all went as
 * it does without the engine. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) _exit(__LINE__ % 120 + 1); \
    } while (0)

static int listener;
static struct sockaddr_in address;

static void start_listening(void) {
    socklen_t length = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0);
    CHECK(listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
}

static int client_end, server_end;

static void open_connection(void) {
    client_end = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client_end, (struct sockaddr *)&address, sizeof address) == 0);
    server_end = accept(listener, NULL, NULL);
    CHECK(server_end >= 0);
}

static void carry(int from, int to, const char *text) {
    char buffer[256];
    ssize_t length = (ssize_t)strlen(text);
    CHECK(write(from, text, (size_t)length) == length);
    CHECK(read(to, buffer, sizeof buffer) == length);
}

/* Two spans: the client's and the server's. */
static void exchange(void) {
    carry(client_end, server_end, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    carry(server_end, client_end, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void *blocked_in_read(void *fd) {
    char byte;
    for (;;) CHECK(read(*(int *)fd, &byte, 1) == 1);
}

static void *blocked_in_accept(void *fd) {
    for (;;) CHECK(accept(*(int *)fd, NULL, NULL) >= 0);
}

static void cancel(void *(*work)(void *), int fd) {
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, work, &fd) == 0);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
}

/* Libraries with an OpenSSL each, private to them. */
static void call_private_libraries(char **libraries) {
    for (int number = 1; *libraries; libraries++, number++) {
        void *handle = dlopen(*libraries, RTLD_NOW | RTLD_LOCAL);
        CHECK(handle);
        int (*use)(void) = (int (*)(void))dlsym(handle, "use");
        CHECK(use && use() == number);
    }
}

int main(int count, char **arguments) {
    const char *scenario = count > 1 ? arguments[1] : "";
    start_listening();
    if (!strcmp(scenario, "plain")) {
        open_connection();
        exchange();
        _exit(0);
    }
    if (!strcmp(scenario, "file-size-limit")) {
        struct rlimit limit = {1000, 1000};
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        open_connection();
        exchange();
        _exit(0);
    }
    if (!strcmp(scenario, "seccomp")) {
        open_connection();
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
        exchange();
        syscall(SYS_exit, 0);
    }
    if (!strcmp(scenario, "cancel")) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        open_connection();
        cancel(blocked_in_read, ends[0]);
        cancel(blocked_in_read, server_end);
        cancel(blocked_in_accept, listener);
        exchange();
        _exit(0);
    }
    if (!strcmp(scenario, "hidden-close")) {
        open_connection();
        exchange();
        int numbers[2] = {client_end, server_end};
        CHECK(fclose(fdopen(client_end, "r+")) == 0);
        CHECK(syscall(SYS_close_range, server_end, server_end, 0) == 0);
        open_connection();
        CHECK(client_end == numbers[0] && server_end == numbers[1]);
        exchange();
        _exit(0);
    }
    if (!strcmp(scenario, "fork")) {
        open_connection();
        carry(client_end, server_end, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        pid_t child = fork();
        if (child == 0) {
            close(client_end);
            close(server_end);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        carry(server_end, client_end, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        open_connection();
        child = fork();
        if (child == 0) {
            exchange();
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        _exit(0);
    }
    if (!strcmp(scenario, "exec")) {
        char *environment[] = {"A=1", NULL};
        char *again[] = {arguments[0], "plain", NULL};
        pid_t child = vfork();
        if (child == 0) {
            execve(arguments[0], again, environment);
            _exit(127);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        open_connection();
        exchange();
        execve(arguments[0], again, environment);
        _exit(126);
    }
    if (!strcmp(scenario, "yield")) {
        /* As another engine in the process calls it. */
        void (*yield)(unsigned) = (void (*)(unsigned))dlsym(RTLD_DEFAULT, "carafe_universal_yield");
        if (yield) yield(4);
        open_connection();
        exchange();
        carry(client_end, server_end, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        if (yield) yield(1);
        /* This one is recorded to its end, for both halves. */
        carry(server_end, client_end, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        /* The client's half alone, on an old connection and on a new one. */
        exchange();
        open_connection();
        exchange();
        int status;
        pid_t child = fork();
        if (child == 0) {
            exchange();
            if (yield) yield(2);
            exchange();
            open_connection();
            exchange();
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        _exit(0);
    }
    if (!strcmp(scenario, "libraries")) {
        call_private_libraries(arguments + 2);
        _exit(0);
    }
    _exit(125);
}
