/* A client that spends as little as it can on its own side: random 4 KiB requests, a fixed number of them at once.
 *
 *   nbd-client SOCKET EXPORT randread|randwrite DEPTH SECONDS      prints operations a second
 *
 * Replies are taken many at a time, and each is followed by a new request; those are sent together.
 */
#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, REQUEST = 28, REPLY = 16 };

static int peer;

static void die(const char *why) { perror(why); exit(1); }

static void put(const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t sent = send(peer, at, length, MSG_NOSIGNAL);
    if (sent <= 0) die("send");
    at += sent, length -= sent;
  }
}

static void get(void *bytes, size_t length) {
  if (length > 0 && recv(peer, bytes, length, MSG_WAITALL) != (ssize_t)length) die("recv");
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* The old way in: NBD_OPT_EXPORT_NAME, without zeros behind it. The size. */
static uint64_t enter(const char *export) {
  unsigned char greeting[18], answer[10];
  get(greeting, sizeof greeting);
  uint32_t flags = htobe32(3), option = htobe32(1), length = htobe32(strlen(export));
  put(&flags, 4), put("IHAVEOPT", 8), put(&option, 4), put(&length, 4), put(export, strlen(export));
  get(answer, sizeof answer);
  uint64_t size;
  memcpy(&size, answer, 8);
  return be64toh(size);
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "nbd-client SOCKET EXPORT randread|randwrite DEPTH SECONDS\n"), 2;
  struct sockaddr_un name = { .sun_family = AF_UNIX };
  strncpy(name.sun_path, argv[1], sizeof name.sun_path - 1);
  peer = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(peer, (void *)&name, sizeof name)) die("connect");
  uint64_t blocks = enter(argv[2]) / BLOCK, random = 88172645463325252u, done = 0;
  int writes = !strcmp(argv[3], "randwrite"), depth = atoi(argv[4]);
  size_t out_each = REQUEST + (writes ? BLOCK : 0), in_each = REPLY + (writes ? 0 : BLOCK);
  unsigned char *out = calloc(depth, out_each), *in = calloc(depth, in_each);
  double begin = now(), end = begin + atof(argv[5]);
  size_t have = 0;
  for (int fresh = depth, flying = 0;;) {
    if (now() >= end) fresh = 0;
    for (int each = 0; each < fresh; each++) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      uint32_t magic = htobe32(0x25609513), length = htobe32(BLOCK);
      uint16_t type = htobe16(writes);
      uint64_t offset = htobe64(random % blocks * BLOCK);
      unsigned char *at = out + each * out_each;
      memcpy(at, &magic, 4), memcpy(at + 6, &type, 2), memcpy(at + 16, &offset, 8), memcpy(at + 24, &length, 4);
      if (writes) memcpy(at + REQUEST, &random, 8);
    }
    put(out, fresh * out_each);
    if ((flying += fresh) == 0) break;
    ssize_t got = recv(peer, in + have, depth * in_each - have, 0);
    while (got > 0 && have + got < in_each) {
      have += got;
      got = recv(peer, in + have, depth * in_each - have, 0);
    }
    if (got <= 0) die("recv");
    have += got;
    fresh = have / in_each;
    for (int each = 0; each < fresh; each++)
      if (memcmp(in + each * in_each + 4, "\0\0\0", 4)) return fprintf(stderr, "a request failed\n"), 1;
    done += fresh, flying -= fresh;
    memmove(in, in + fresh * in_each, have - fresh * in_each);
    have -= fresh * in_each;
  }
  double took = now() - begin;
  /* nbdkit 1.32 does not survive a client that leaves without a word. */
  memset(out, 0, REQUEST);
  uint32_t magic = htobe32(0x25609513);
  uint16_t type = htobe16(2);
  memcpy(out, &magic, 4), memcpy(out + 6, &type, 2);
  put(out, REQUEST);
  while (recv(peer, in, in_each, 0) > 0);
  printf("%.0f\n", done / took);
}
