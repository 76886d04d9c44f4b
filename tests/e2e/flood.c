/* Numbered lines with a checksum to standard output, as fast as it goes. See e2e_flood.py.

   flood REPORT TOTAL_BYTES HOLD_S
   A line is 64 bytes: "%016x %016x padding\n", number and checksum (number * an odd constant). Writes of 64 KiB. REPORT
   gets one line at the end: bytes, seconds, longest write in seconds, failed writes. Then it lives for HOLD_S. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 64, BLOCK = 1024 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void hex(char *at, uint64_t value) {
    for (int i = 15; i >= 0; i--, value >>= 4) at[i] = "0123456789abcdef"[value & 15];
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    uint64_t total = strtoull(argv[2], 0, 10), number = 0, written = 0, failed = 0;
    double begin = now(), longest = 0;
    static char block[LINE * BLOCK];
    memset(block, '.', sizeof block);
    while (written < total) {
        for (int i = 0; i < BLOCK; i++, number++) {
            char *line = block + i * LINE;
            hex(line, number);
            line[16] = ' ';
            hex(line + 17, number * 0x9e3779b97f4a7c15u);
            line[LINE - 1] = '\n';
        }
        for (size_t at = 0; at < sizeof block;) {
            double before = now();
            ssize_t done = write(1, block + at, sizeof block - at);
            double took = now() - before;
            if (took > longest) longest = took;
            if (done < 0 && errno != EINTR) {
                failed++;
                if (failed > 200000) return 3;
                usleep(1000);
            }
            if (done > 0) at += done;
        }
        written += sizeof block;
    }
    double took = now() - begin;
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.tmp", argv[1]);
    FILE *report = fopen(temporary, "w");
    fprintf(report, "%llu %.6f %.6f %llu\n", (unsigned long long)written, took, longest, (unsigned long long)failed);
    fclose(report);
    rename(temporary, argv[1]);
    double until = now() + atof(argv[3]);
    while (now() < until) usleep(50000);
    return 0;
}
