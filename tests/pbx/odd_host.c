/* Preloaded into a process under test: a host whose resolver does not answer, and whose clock was stepped.

   What is odd stands in a file of two 64-bit numbers, which the test maps and writes: seconds by which the clock is off,
   and what becomes of names under .odd.test: 0 this machine, 1 no answer can be had, 2 nothing comes for a long while. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_TICKS = 200, TICK_US = 50000 }; /* ten seconds: as long as the C library waits for two servers */
static const char SUFFIX[] = ".odd.test";
static volatile int64_t honest[2];
static volatile int64_t *odd = honest;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("ODD_HOST");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof honest, PROT_READ, MAP_SHARED, file, 0);

    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_resolver = dlsym(RTLD_NEXT, "getaddrinfo");
    if (mapped != MAP_FAILED)
        odd = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int result = real_clock ? real_clock(clock, at) : -1;

    if (result == 0 && clock == CLOCK_REALTIME)
        at->tv_sec += odd[0];
    return result;
}

time_t time(time_t *at)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now = {0, 0};

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    size_t length = node ? strlen(node) : 0, suffix = sizeof SUFFIX - 1;

    if ((hints && hints->ai_flags & AI_NUMERICHOST) || length < suffix || strcmp(node + length - suffix, SUFFIX) != 0)
        return real_resolver(node, service, hints, found);
    for (int tick = 0; odd[1] == 2 && tick < LONGEST_TICKS; tick++)
        usleep(TICK_US);
    return odd[1] ? EAI_AGAIN : real_resolver("127.0.0.1", service, hints, found);
}
