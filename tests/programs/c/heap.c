// Grows the heap piece by piece, asking WASI for something between the pieces, and looks at each again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECES 100

int main(void) {
    unsigned char *pieces[PIECES];
    for (int i = 0; i < PIECES; i++) {
        size_t size = 1000 + (size_t)i * 997;
        pieces[i] = malloc(size);
        if (!pieces[i]) return 1;
        memset(pieces[i], i, size);
        struct timespec now;
        unsigned char some[8];
        if (clock_gettime(CLOCK_MONOTONIC, &now) || getentropy(some, sizeof some)) return 2;
        fprintf(stderr, "%d\n", i);
    }
    for (int i = 0; i < PIECES; i++)
        for (size_t at = 0; at < 1000 + (size_t)i * 997; at++)
            if (pieces[i][at] != (unsigned char)i) return printf("changed %d\n", i), 3;
    printf("ok %d\n", PIECES);
    return 0;
}
