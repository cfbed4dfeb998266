// Files, folders, links, places within files, arguments and variables.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define must(what) do { if (!(what)) return fprintf(stderr, "%s: %s\n", #what, strerror(errno)), 1; } while (0)

int main(int argc, char **argv) {
    char folder[64], path[128], other[128];
    unsigned char some[8];
    must(getentropy(some, sizeof some) == 0);
    unsigned long long number;
    memcpy(&number, some, sizeof number);
    snprintf(folder, sizeof folder, "/data/c%016llx", number);
    must(mkdir(folder, 0700) == 0);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "%s/file %03d", folder, i);
        FILE *file = fopen(path, "w");
        must(file);
        must(fprintf(file, "number %d\n", i) > 0);
        must(fclose(file) == 0);
    }
    snprintf(other, sizeof other, "%s/other", folder);
    must(rename(path, other) == 0);
    must(access(path, F_OK) != 0 && errno == ENOENT);

    int file = open(other, O_RDWR);
    must(file >= 0);
    struct iovec out[3] = {{.iov_base = "", .iov_len = 0}, {.iov_base = "ab", .iov_len = 2}, {.iov_base = "cd", .iov_len = 2}};
    must(writev(file, out, 3) >= 2);
    must(pwrite(file, "XY", 2, 1) == 2);
    char back[5] = {0}, tail[3] = {0};
    must(lseek(file, 0, SEEK_SET) == 0);
    struct iovec in[2] = {{.iov_base = back, .iov_len = 3}, {.iov_base = tail, .iov_len = 2}};
    must(readv(file, in, 2) >= 3);
    must(memcmp(back, "aXY", 3) == 0);
    must(pread(file, tail, 2, 1) == 2 && memcmp(tail, "XY", 2) == 0);
    struct stat is;
    must(fstat(file, &is) == 0 && is.st_size >= 3);
    must(ftruncate(file, 1) == 0 && stat(other, &is) == 0 && is.st_size == 1);
    must(close(file) == 0);

    DIR *open_folder = opendir(folder);
    must(open_folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(open_folder));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        must(unlink(path) == 0);
        count++;
    }
    must(closedir(open_folder) == 0 && rmdir(folder) == 0);
    printf("ok %d", count);
    for (int i = 1; i < argc; i++) printf(" %s", argv[i]);
    printf(" %s\n", getenv("NOBODY") ? "set" : "unset");
    return 0;
}
