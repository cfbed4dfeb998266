// Waits twice, asks for the time of both clocks, and ends with a handler.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void last(void) { puts("ok"); }

static long long nanoseconds(clockid_t clock) {
    struct timespec now;
    return clock_gettime(clock, &now) ? -1 : now.tv_sec * 1000000000ll + now.tv_nsec;
}

int main(void) {
    atexit(last);
    long long before = nanoseconds(CLOCK_MONOTONIC), wall = nanoseconds(CLOCK_REALTIME);
    struct timespec resolution, pause = {.tv_nsec = 2000000};
    if (clock_getres(CLOCK_MONOTONIC, &resolution)) return 1;
    if (nanosleep(&pause, NULL)) return 2;
    if (usleep(1000)) return 3;
    if (nanoseconds(CLOCK_MONOTONIC) - before < 3000000) return 4;
    if (wall < 1000000000000000000ll) return 5;
    exit(0);
}
