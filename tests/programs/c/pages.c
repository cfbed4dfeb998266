// Takes memory as a runtime does that believes it alone makes it grow: what it has ends where it counts
// that it ends, whatever memory.grow says.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE 65536u

int main(void) {
    size_t first = __builtin_wasm_memory_size(0);
    uint32_t *own = (uint32_t *)(first * PAGE), words = 0;
    for (int i = 0; i < 40; i++) {
        unsigned char some[4];
        if (getentropy(some, sizeof some)) return 1;
        size_t had = __builtin_wasm_memory_grow(0, 1);
        if (had != first + (size_t)i) return printf("not ours: %zu\n", had), 2;
        if (__builtin_wasm_memory_size(0) != first + (size_t)i + 1) return 3;
        for (uint32_t at = 0; at < PAGE / 4; at++) {
            if (own[words + at] != 0) return printf("not new: %d\n", i), 4;
            own[words + at] = words + at;
        }
        words += PAGE / 4;
        char line[32];
        int length = snprintf(line, sizeof line, "%d\n", i);
        if (write(2, line, (size_t)length) != length) return 5;
    }
    for (uint32_t at = 0; at < words; at++)
        if (own[at] != at) return printf("changed: %u\n", (unsigned)at), 6;
    if (__builtin_wasm_memory_grow(0, 60000) != SIZE_MAX) return 7;
    printf("ok %u\n", (unsigned)words);
    return 0;
}
