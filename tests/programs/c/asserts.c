// Does not expect what it is given, and says much before it says so.
#include <assert.h>
#include <stdio.h>

int main(int argc, char **argv) {
    for (int i = 0; i < 2000; i++) fprintf(stderr, "line %d of %s\n", i, argv[0]);
    assert(argc == 1);
    return 0;
}
