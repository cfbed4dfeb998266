/* Counts the characters, words and lines of standard input, and how often the phrase after `--phrase`
 * occurs in it, and prints that as JSON. A program like any other: it knows of no host. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Reads a file to its end. NULL where there is no memory for it. */
static char *read_all(FILE *from, size_t *length) {
    size_t room = 4096;
    char *text = malloc(room);
    *length = 0;
    while (text) {
        *length += fread(text + *length, 1, room - *length, from);
        if (*length < room) return text;
        char *more = realloc(text, room *= 2);
        if (!more) free(text);
        text = more;
    }
    return NULL;
}

/* How often a phrase stands in a text, in whichever case of ASCII. */
static long occurrences(const char *text, size_t length, const char *phrase) {
    long found = 0;
    size_t size = strlen(phrase);
    for (size_t at = 0; at + size <= length;) {
        int here = strncasecmp(text + at, phrase, size) == 0;
        found += here;
        at += here ? size : 1;
    }
    return found;
}

int main(int argc, char **argv) {
    const char *phrase = argc == 3 && strcmp(argv[1], "--phrase") == 0 ? argv[2] : NULL;
    if (phrase && phrase[strspn(phrase, " \t\r\n")] == '\0') {
        fputs("phrase: give at least one character that is no space, or leave it out\n", stderr);
        return 1;
    }
    size_t length;
    char *text = read_all(stdin, &length);
    if (!text) {
        fputs("the text is too long\n", stderr);
        return 1;
    }
    long characters = 0, words = 0, lines = 0;
    char before = ' ';
    for (const char *at = text; at < text + length; before = *at++) {
        /* All bytes of UTF-8 but the first of a character are 10xxxxxx. */
        characters += (*at & 0xc0) != 0x80;
        words += isspace((unsigned char)before) && !isspace((unsigned char)*at);
        lines += *at == '\n';
    }
    lines += length > 0 && before != '\n';
    printf("{\"characters\":%ld,\"words\":%ld,\"lines\":%ld", characters, words, lines);
    if (phrase) printf(",\"occurrences\":%ld", occurrences(text, length, phrase));
    puts("}");
    free(text);
    return 0;
}
