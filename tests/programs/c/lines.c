// Sorts the words of its input; its pieces are copied, moved and filled in one instruction each.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(void) {
    size_t size = 0, length = 0;
    char *text = NULL;
    for (int c; (c = getchar()) != EOF;) {
        if (length + 2 > size) text = realloc(text, size = size * 2 + 64);
        if (!text) return 1;
        text[length++] = (char)c;
    }
    if (!text) return 2;
    text[length] = 0;
    char *copy = malloc(2 * (length + 1)), **words = malloc(length * sizeof *words);
    if (!copy || !words) return 3;
    memset(copy, 'x', 2 * (length + 1));
    memcpy(copy, text, length + 1);
    memmove(copy + 1, copy, length + 1);
    memmove(copy, copy + 1, length + 1);
    size_t count = 0;
    for (char *word = strtok(copy, " \n"); word; word = strtok(NULL, " \n")) words[count++] = word;
    qsort(words, count, sizeof *words, compare);
    printf("ok %zu %s %s\n", count, words[0], words[count - 1]);
    return 0;
}
